"""What is counted: deltas and rollups. What happened before is counted from what is there, once and all at a time."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

MEASURES = ("files", "bytes", "uploads", "uploaded", "downloads", "downloaded", "logins", "users")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DAYS = {"sqlite": "date({})", "postgresql": "CAST({} AT TIME ZONE 'UTC' AS date)"}
MEDIA_TYPES = {"sqlite": "json_extract(e.data, '$.mediaType')", "postgresql": "e.data ->> 'mediaType'"}


def measures(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def counted(day: str, owner: str, origin: str, **values: str) -> str:
    """A select of one delta per row. The owner names workspace, user and media type."""
    numbers = ", ".join(f"{values.get(name, '0')} AS {name}" for name in MEASURES)
    return f"SELECT {day} AS day, {owner}, {numbers} FROM {origin}"  # noqa: S608 - see below


def history(dialect: str) -> str:
    """What is there, on the day that it came; and what is not any more, from the events that tell how it came and went.

    What was purged is taken away on that day under the same names as it was added under, so that nothing is left of it.
    """
    day, media_type = DAYS[dialect], MEDIA_TYPES[dialect]
    nobody = "CAST(NULL AS {}) AS workspace_id, {} AS user_id, NULL AS media_type"
    uuid = "uuid" if dialect == "postgresql" else "CHAR(32)"
    by_actor = "e.workspace_id, e.actor_id AS user_id, NULL AS media_type"
    brought = f"e.workspace_id, e.actor_id AS user_id, {media_type} AS media_type"
    gone = "events e JOIN events p ON p.kind = 'file.purged' AND p.target_id = e.target_id"
    added = "WHERE e.kind IN ('file.uploaded', 'file.replaced', 'file.restored')"
    is_first = "CASE WHEN e.kind = 'file.uploaded' THEN 1 ELSE 0 END"
    left = (
        "events e JOIN events p ON p.kind = 'user.deleted' AND p.target_id = e.target_id WHERE e.kind = 'user.created'"
    )
    uploads = "events e WHERE e.kind IN ('file.uploaded', 'file.replaced')"
    downloads = "events e WHERE e.kind = 'file.downloaded'"
    then, later = day.format("e.created_at"), day.format("p.created_at")
    file = "f.workspace_id, f.uploaded_by_id AS user_id, f.media_type"
    version = "f.workspace_id, v.created_by_id AS user_id, v.media_type"
    selects = [
        counted(day.format("f.created_at"), file, "files f", files="1"),
        counted(day.format("v.created_at"), version, "versions v JOIN files f ON f.id = v.file_id", bytes="v.size"),
        counted(then, brought, f"{gone} {added}", files=is_first, bytes="e.size"),
        counted(later, brought, f"{gone} {added}", files=f"-({is_first})", bytes="-e.size"),
        counted(then, by_actor, uploads, uploads="1", uploaded="e.size"),
        counted(then, by_actor, downloads, downloads="1", downloaded="e.size"),
        counted(then, nobody.format(uuid, "e.actor_id"), "events e WHERE e.kind = 'login.succeeded'", logins="1"),
        counted(day.format("u.created_at"), nobody.format(uuid, "u.id"), "users u", users="1"),
        counted(then, nobody.format(uuid, "e.target_id"), left, users="1"),
        counted(later, nobody.format(uuid, f"CAST(NULL AS {uuid})"), left, users="-1"),
    ]
    keys = "day, workspace_id, user_id, media_type"
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in MEASURES)
    rows = " UNION ALL ".join(selects)
    return (
        f"INSERT INTO deltas ({keys}, {', '.join(MEASURES)}) "  # noqa: S608 - nothing in it is anybody's input
        f"SELECT {keys}, {sums} FROM ({rows}) AS counted GROUP BY {keys}"
    )


def folded(dialect: str) -> list[str]:
    """What folding does to all deltas, in one statement for each rollup: minutes where batches would take hours."""
    everything = "CAST('00000000-0000-0000-0000-000000000000' AS uuid)" if dialect == "postgresql" else f"'{'0' * 32}'"
    columns = f"day, user_id, media_type, {', '.join(MEASURES)}"
    scoped = (
        f"(SELECT {everything} AS scope_id, {columns} FROM deltas UNION ALL "  # noqa: S608
        f"SELECT workspace_id, {columns} FROM deltas WHERE workspace_id IS NOT NULL) AS scoped"
    )
    acts = " OR ".join(f"{name} > 0" for name in ("uploads", "downloads", "logins", "users"))
    last = f"max(CASE WHEN {acts} THEN day ELSE '0001-01-01' END)"
    of_user = MEASURES[:6]
    is_of_user = " OR ".join(f"{name} <> 0" for name in of_user)
    is_typed = "media_type IS NOT NULL AND (files <> 0 OR bytes <> 0)"

    def into(table: str, keys: str, names: tuple[str, ...], condition: str, active: str = "") -> str:
        sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in names) + (active and f", {active}")
        filled = f"{keys}, {', '.join(names)}" + (active and ", active_on")
        return (
            f"INSERT INTO {table} ({filled}) SELECT {keys}, {sums} FROM {scoped} "  # noqa: S608
            f"WHERE {condition} GROUP BY {keys}"
        )

    return [
        into("daily_totals", "scope_id, day", MEASURES, "1 = 1"),
        into("daily_media_types", "scope_id, day, media_type", MEASURES[:2], is_typed),
        into("daily_users", "scope_id, user_id, day", of_user, f"user_id IS NOT NULL AND ({is_of_user})"),
        into("held_media_types", "scope_id, media_type", MEASURES[:2], is_typed),
        into("held_users", "scope_id, user_id", MEASURES[:2], "user_id IS NOT NULL", last),
        # Whatever only deletes leaves room behind that every answer has to pass, until PostgreSQL gives it back.
        "TRUNCATE deltas" if dialect == "postgresql" else "DELETE FROM deltas",
    ]


def upgrade() -> None:
    op.create_table(
        "deltas",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("media_type", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        *measures(*MEASURES),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deltas")),
    )
    op.create_table(
        "daily_totals",
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *measures(*MEASURES),
        sa.PrimaryKeyConstraint("scope_id", "day", name=op.f("pk_daily_totals")),
    )
    op.create_table(
        "daily_media_types",
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("media_type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        *measures("files", "bytes"),
        sa.PrimaryKeyConstraint("scope_id", "day", "media_type", name=op.f("pk_daily_media_types")),
    )
    op.create_table(
        "daily_users",
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *measures("files", "bytes", "uploads", "uploaded", "downloads", "downloaded"),
        sa.PrimaryKeyConstraint("scope_id", "user_id", "day", name=op.f("pk_daily_users")),
    )
    op.create_table(
        "held_media_types",
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("media_type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        *measures("files", "bytes"),
        sa.PrimaryKeyConstraint("scope_id", "media_type", name=op.f("pk_held_media_types")),
    )
    op.create_table(
        "held_users",
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        *measures("files", "bytes"),
        sa.Column("active_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("scope_id", "user_id", name=op.f("pk_held_users")),
    )
    dialect = op.get_bind().dialect.name
    for statement in (history(dialect), *folded(dialect)):
        op.execute(statement)
    op.create_index(op.f("ix_daily_users_scope_id_day"), "daily_users", ["scope_id", "day"])
    for measure in ("bytes", "files"):
        op.create_index(
            op.f(f"ix_held_users_scope_id_{measure}_user_id"), "held_users", ["scope_id", measure, "user_id"]
        )


def downgrade() -> None:
    for table in ("held_users", "held_media_types", "daily_users", "daily_media_types", "daily_totals", "deltas"):
        op.drop_table(table)
