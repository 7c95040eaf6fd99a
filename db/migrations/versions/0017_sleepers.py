"""Everybody among the users of the whole service, and an index of when they did something last."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Whoever signed up before and is not folded yet.
MISSING = """
INSERT INTO held_users (scope_id, user_id, files, bytes, active_on)
SELECT {scope}, id, 0, 0, '0001-01-01' FROM users
WHERE id NOT IN (SELECT user_id FROM held_users WHERE scope_id = {scope})
"""
WHOLE_SERVICE = {"postgresql": "'00000000-0000-0000-0000-000000000000'::uuid", "sqlite": f"'{'0' * 32}'"}


def upgrade() -> None:
    op.execute(MISSING.format(scope=WHOLE_SERVICE[op.get_bind().dialect.name]))
    op.create_index(
        op.f("ix_held_users_scope_id_active_on_user_id"), "held_users", ["scope_id", "active_on", "user_id"]
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_held_users_scope_id_active_on_user_id"), "held_users")
