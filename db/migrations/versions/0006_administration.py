"""invitations, quotas, deleted workspaces, and indexes for the lists of administrators."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

EVENT_COLUMNS = ("actor_id", "kind", "workspace_id")


def upgrade() -> None:
    with op.batch_alter_table("workspaces", schema=None) as batch_op:
        batch_op.add_column(sa.Column("quota_limit", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("deleted_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True))
        batch_op.create_check_constraint(op.f("ck_workspaces_quota_limit"), "quota_limit >= 0")
        batch_op.create_index(batch_op.f("ix_workspaces_deleted_at"), ["deleted_at"], unique=False)

    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("email_folded", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("invited_by_id", sa.Uuid(), nullable=True),
        sa.Column("token_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("accepted_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint("role IN ('OWNER', 'EDITOR', 'VIEWER')", name=op.f("ck_invitations_role")),
        sa.ForeignKeyConstraint(
            ["invited_by_id"], ["users.id"], name=op.f("fk_invitations_invited_by_id_users"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_invitations_workspace_id_workspaces"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_invitations_invited_by_id"), ["invited_by_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_invitations_workspace_id_created_at_id"), ["workspace_id", "created_at", "id"], unique=False
        )

    with op.batch_alter_table("members", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_members_workspace_id_created_at_user_id"),
            ["workspace_id", "created_at", "user_id"],
            unique=False,
        )

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_users_created_at_id"), ["created_at", "id"], unique=False)

    with op.batch_alter_table("events", schema=None) as batch_op:
        for column in EVENT_COLUMNS:
            batch_op.drop_index(batch_op.f(f"ix_events_{column}_id"))
        for column in (*EVENT_COLUMNS, "target_id"):
            batch_op.create_index(
                batch_op.f(f"ix_events_{column}_created_at_id"), [column, "created_at", "id"], unique=False
            )
        batch_op.create_index(batch_op.f("ix_events_created_at_id"), ["created_at", "id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_created_at_id"))
        for column in (*EVENT_COLUMNS, "target_id"):
            batch_op.drop_index(batch_op.f(f"ix_events_{column}_created_at_id"))
        for column in EVENT_COLUMNS:
            batch_op.create_index(batch_op.f(f"ix_events_{column}_id"), [column, "id"], unique=False)

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_users_created_at_id"))

    with op.batch_alter_table("members", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_members_workspace_id_created_at_user_id"))

    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invitations_workspace_id_created_at_id"))
        batch_op.drop_index(batch_op.f("ix_invitations_invited_by_id"))

    op.drop_table("invitations")
    with op.batch_alter_table("workspaces", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_workspaces_deleted_at"))
        batch_op.drop_constraint(batch_op.f("ck_workspaces_quota_limit"), type_="check")
        batch_op.drop_column("deleted_at")
        batch_op.drop_column("quota_limit")
