"""PostgreSQL databases for tests: each is one test's at a time, and is emptied for the next one.

To copy a database costs a tenth of a second and more of processor time, and to empty it a hundredth. One whose schema
a test has changed is dropped instead, and so is one that cannot be emptied.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import asyncpg
from sqlalchemy.engine.url import URL

from tests.servers import create_database, drop_database

MAXIMUM_USES = 100
"""Nothing is vacuumed, so that no statistics of one test change how the next one's selects are planned."""
GONE_MILLISECONDS = 10_000

END_OTHERS = f"""
SELECT pg_terminate_backend(pid, {GONE_MILLISECONDS}) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
FIRST_OWN_OID = 16384
"""Below are PostgreSQL's own."""
# Whatever changes a schema, or what is known of its tables, writes rows of these catalogs.
CATALOGS = {
    "pg_class": "oid",
    "pg_attribute": "attrelid",
    "pg_attrdef": "oid",
    "pg_constraint": "oid",
    "pg_index": "indexrelid",
    "pg_proc": "oid",
    "pg_trigger": "oid",
    "pg_type": "oid",
    "pg_namespace": "oid",
    "pg_extension": "oid",
    "pg_statistic": "starelid",
    "pg_db_role_setting": "setdatabase",
}
SCHEMA = " UNION ALL ".join(
    f"SELECT count(*), max(xmin::text::bigint) FROM {name} WHERE {oid} >= {FIRST_OWN_OID}"
    for name, oid in CATALOGS.items()
)
# A table that never had a row needs no look.
TABLES = """
SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0
"""


Schema = list[tuple[int, int]]


@dataclass(slots=True)
class _Kept:
    schema: Schema
    uses: int = 1


@dataclass(slots=True)
class Databases:
    """Copies of `migrated`, a database that has tables without rows."""

    migrated: URL
    _free: list[URL] = field(default_factory=list)
    _kept: dict[URL, _Kept] = field(default_factory=dict)

    def take(self) -> URL:
        """A database at the newest migration, without rows, that nobody else has."""
        if self._free:
            own = self._free.pop()
            self._kept[own].uses += 1
            return own
        own = self.migrated.set(database=f"test_{uuid4().hex}")
        create_database(own, template=self.migrated.database or "")
        self._kept[own] = _Kept(asyncio.run(_schema_of(own)))
        return own

    def give_back(self, own: URL) -> None:
        """End all connections to it, and make it what it was, or drop it."""
        kept = self._kept[own]
        if kept.uses < MAXIMUM_USES and asyncio.run(_is_emptied(own, kept.schema)):
            self._free.append(own)
        else:
            del self._kept[own]
            drop_database(own)

    def drop(self) -> None:
        """The end of all of them."""
        for own in self._kept:
            drop_database(own)


async def end_others(own: URL) -> None:
    """End all connections to a database; they have ended then."""
    async with _connected(own) as connection:
        await connection.execute(END_OTHERS)


async def _schema_of(own: URL) -> Schema:
    async with _connected(own) as connection:
        return await _read_schema(connection)


async def _read_schema(connection: asyncpg.Connection) -> Schema:
    return [tuple(row) for row in await connection.fetch(SCHEMA)]


async def _is_emptied(own: URL, schema: Schema) -> bool:
    try:
        async with _connected(own) as connection:
            await connection.execute(END_OTHERS)
            if await _read_schema(connection) != schema:
                return False
            deletes = [f'DELETE FROM "{row["relname"]}"' for row in await connection.fetch(TABLES)]
            await connection.execute(";".join(["SET session_replication_role = replica", *deletes]))
    except asyncpg.PostgresError:
        return False
    return True


@asynccontextmanager
async def _connected(own: URL) -> AsyncIterator[asyncpg.Connection]:
    url = own.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
