"""Indexes of what somebody did, and what happened in a workspace, by kind."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WHOSE = ("actor_id", "workspace_id")


def upgrade() -> None:
    for whose in WHOSE:
        op.create_index(op.f(f"ix_events_{whose}_kind_created_at_id"), "events", [whose, "kind", "created_at", "id"])


def downgrade() -> None:
    for whose in WHOSE:
        op.drop_index(op.f(f"ix_events_{whose}_kind_created_at_id"), "events")
