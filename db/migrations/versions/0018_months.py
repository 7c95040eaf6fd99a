"""Months beside the days that they are made of, so that years are few rows."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KEYS = {
    "totals": ("scope_id", "month"),
    "media_types": ("scope_id", "month", "media_type"),
    "users": ("scope_id", "user_id", "month"),
}
HELD = ("files", "bytes")
OF_USER = (*HELD, "uploads", "uploaded", "downloads", "downloaded")
ALL = (*OF_USER, "logins", "users")
INDEXES = {"downloads": "downloads > 0", "bytes": "bytes > 0", "files": "files > 0"}
MONTHS = {"sqlite": "date(day, 'start of month')", "postgresql": "CAST(date_trunc('month', day) AS date)"}


def made_of_days(name: str, *others: sa.Column, measures: tuple[str, ...]) -> None:
    """Make a table of months, and put the days together that there are."""
    keys = [sa.Column("scope_id", sa.Uuid(), nullable=False), sa.Column("month", sa.Date(), nullable=False)]
    op.create_table(
        f"monthly_{name}",
        *keys,
        *others,
        *(sa.Column(measure, sa.BigInteger(), nullable=False) for measure in measures),
        sa.PrimaryKeyConstraint(*KEYS[name], name=op.f(f"pk_monthly_{name}")),
    )
    month = MONTHS[op.get_bind().dialect.name]
    grouped = ", ".join(month if key == "month" else key for key in KEYS[name])
    sums = ", ".join(f"CAST(sum({measure}) AS BIGINT)" for measure in measures)
    op.execute(
        f"INSERT INTO monthly_{name} ({', '.join((*KEYS[name], *measures))}) "  # noqa: S608 - nothing in it is input
        f"SELECT {grouped}, {sums} FROM daily_{name} GROUP BY {grouped}"
    )


def upgrade() -> None:
    media_type = sa.Column("media_type", sqlmodel.sql.sqltypes.AutoString(), nullable=False)
    made_of_days("totals", measures=ALL)
    made_of_days("media_types", media_type, measures=HELD)
    made_of_days("users", sa.Column("user_id", sa.Uuid(), nullable=False), measures=OF_USER)
    for measure, condition in INDEXES.items():
        where = sa.text(condition)
        op.create_index(
            op.f(f"ix_monthly_users_scope_id_month_{measure}_user_id"),
            "monthly_users",
            ["scope_id", "month", measure, "user_id"],
            postgresql_where=where,
            sqlite_where=where,
        )


def downgrade() -> None:
    for name in KEYS:
        op.drop_table(f"monthly_{name}")
