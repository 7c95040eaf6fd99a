"""The ledger: what lies with whom, counted once from what is there."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COUNTED = """
INSERT INTO quotas (owner_id, kind, quota_limit, used, reserved, files)
SELECT workspaces.id, 'WORKSPACE', workspaces.quota_limit,
    (SELECT CAST(coalesce(sum(versions.size), 0) AS BIGINT) FROM versions JOIN files ON files.id = versions.file_id
        WHERE files.workspace_id = workspaces.id),
    0,
    (SELECT count(*) FROM files WHERE files.workspace_id = workspaces.id)
FROM workspaces
UNION ALL
SELECT users.id, 'USER', NULL,
    (SELECT CAST(coalesce(sum(versions.size), 0) AS BIGINT) FROM versions WHERE versions.created_by_id = users.id),
    0,
    (SELECT count(*) FROM files WHERE files.uploaded_by_id = users.id)
FROM users
"""
LIMITS = """
UPDATE workspaces SET quota_limit = (SELECT quota_limit FROM quotas WHERE quotas.owner_id = workspaces.id)
"""


def upgrade() -> None:
    op.create_table(
        "quotas",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("quota_limit", sa.BigInteger(), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('WORKSPACE', 'USER')", name=op.f("ck_quotas_kind")),
        sa.CheckConstraint("quota_limit >= 0", name=op.f("ck_quotas_quota_limit")),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_quotas")),
    )
    op.execute(COUNTED)
    with op.batch_alter_table("workspaces", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_workspaces_quota_limit"), type_="check")
        batch_op.drop_column("quota_limit")


def downgrade() -> None:
    with op.batch_alter_table("workspaces", schema=None) as batch_op:
        batch_op.add_column(sa.Column("quota_limit", sa.BigInteger(), nullable=True))
        batch_op.create_check_constraint(op.f("ck_workspaces_quota_limit"), "quota_limit >= 0")
    op.execute(LIMITS)
    op.drop_table("quotas")
