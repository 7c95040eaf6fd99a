"""Exports of what is counted."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from db.models import JSON_COLUMN

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "analytics_exports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=True),
        sa.Column("is_administrator", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("report", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("interval", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("workspace_id", sa.Uuid(), nullable=True),
        sa.Column("as_of", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("file_id", sa.Uuid(), nullable=True),
        sa.Column("refusal", JSON_COLUMN, nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("format IN ('CSV', 'JSON_LINES')", name=op.f("ck_analytics_exports_format")),
        sa.CheckConstraint(
            "report IN ('UPLOADS', 'DOWNLOADS', 'STORAGE', 'MEDIA_TYPES', 'USERS')",
            name=op.f("ck_analytics_exports_report"),
        ),
        sa.CheckConstraint(
            "state IN ('WAITING', 'RUNNING', 'DONE', 'FAILED')", name=op.f("ck_analytics_exports_state")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_analytics_exports_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_exports")),
    )
    with op.batch_alter_table("analytics_exports", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_analytics_exports_user_id_ended_at"), ["user_id", "ended_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_analytics_exports_ended_at"), ["ended_at"], unique=False)


def downgrade() -> None:
    op.drop_table("analytics_exports")
