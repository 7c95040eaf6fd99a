"""Indexes of who downloaded and who lost most on a day, for the one of days, by which nobody is looked for any more."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

MEASURES = {"downloads": "downloads > 0", "bytes": "bytes < 0", "files": "files < 0"}


def upgrade() -> None:
    op.drop_index(op.f("ix_daily_users_scope_id_day"), "daily_users")
    for measure, condition in MEASURES.items():
        where = sa.text(condition)
        op.create_index(
            op.f(f"ix_daily_users_scope_id_day_{measure}_user_id"),
            "daily_users",
            ["scope_id", "day", measure, "user_id"],
            postgresql_where=where,
            sqlite_where=where,
        )


def downgrade() -> None:
    for measure in MEASURES:
        op.drop_index(op.f(f"ix_daily_users_scope_id_day_{measure}_user_id"), "daily_users")
    op.create_index(op.f("ix_daily_users_scope_id_day"), "daily_users", ["scope_id", "day"])
