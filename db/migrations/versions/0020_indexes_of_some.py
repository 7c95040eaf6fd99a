"""Indexes of times that most rows lack, without these rows, and of who is a member where."""

from alembic import op
from sqlalchemy import text

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SOME = (
    ("api_keys", "revoked_at"),
    ("blobs", "damage"),
    ("blobs", "deleted_at"),
    ("sessions", "revoked_at"),
    ("workspaces", "deleted_at"),
)


def upgrade() -> None:
    for table, column in SOME:
        is_some = text(f"{column} IS NOT NULL")
        name = op.f(f"ix_{table}_{column}")
        op.drop_index(name, table)
        op.create_index(name, table, [column], postgresql_where=is_some, sqlite_where=is_some)
    op.create_index(op.f("ix_members_user_id_workspace_id"), "members", ["user_id", "workspace_id"])
    op.drop_index(op.f("ix_members_user_id"), "members")


def downgrade() -> None:
    op.create_index(op.f("ix_members_user_id"), "members", ["user_id"])
    op.drop_index(op.f("ix_members_user_id_workspace_id"), "members")
    for table, column in SOME:
        name = op.f(f"ix_{table}_{column}")
        op.drop_index(name, table)
        op.create_index(name, table, [column])
