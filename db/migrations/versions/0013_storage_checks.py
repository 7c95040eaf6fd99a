"""Checks of the storage, and what they found out about blobs."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from db.models import JSON_COLUMN

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("blobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("verified_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.add_column(sa.Column("damage", sa.String(), nullable=True))
        batch_op.create_check_constraint(
            batch_op.f("ck_blobs_damage"), "damage IN ('MISSING', 'SIZE', 'DIGEST', 'UNREADABLE')"
        )
        batch_op.create_index(
            batch_op.f("ix_blobs_verified_at_created_at"), ["verified_at", "created_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_blobs_damage"), ["damage"], unique=False)

    op.create_table(
        "storage_checks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("requested_by_id", sa.Uuid(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=True),
        sa.Column("repairs", sa.Boolean(), nullable=False),
        sa.Column("digests", sa.Boolean(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("position", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("blobs_seen", sa.BigInteger(), nullable=False),
        sa.Column("blobs_total", sa.BigInteger(), nullable=False),
        sa.Column("bytes_hashed", sa.BigInteger(), nullable=False),
        sa.Column("counts", JSON_COLUMN, nullable=False),
        sa.Column("findings", JSON_COLUMN, nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint("state IN ('WAITING', 'RUNNING', 'DONE', 'FAILED')", name=op.f("ck_storage_checks_state")),
        sa.ForeignKeyConstraint(
            ["requested_by_id"],
            ["users.id"],
            name=op.f("fk_storage_checks_requested_by_id_users"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_checks")),
        sa.UniqueConstraint("slot", name=op.f("uq_storage_checks_slot")),
    )
    with op.batch_alter_table("storage_checks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_storage_checks_created_at_id"), ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_storage_checks_requested_by_id"), ["requested_by_id"], unique=False)


def downgrade() -> None:
    op.drop_table("storage_checks")
    with op.batch_alter_table("blobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_blobs_damage"))
        batch_op.drop_index(batch_op.f("ix_blobs_verified_at_created_at"))
        batch_op.drop_constraint(batch_op.f("ck_blobs_damage"), type_="check")
        batch_op.drop_column("damage")
        batch_op.drop_column("verified_at")
