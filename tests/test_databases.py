import asyncio
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.engine.url import URL

from tests import servers
from tests.databases import Databases

INSERT = "INSERT INTO workspaces (id, name, created_at) VALUES (gen_random_uuid(), 'Team', now())"
COUNT = "SELECT count(*) FROM workspaces"


@pytest.fixture
def databases(run_folder: Path) -> Databases:
    """Of this test's own: which of them is taken next is the point."""
    return Databases(servers.migrated_postgres(run_folder))


async def asked(own: URL, *statements: str) -> object:
    connection = await asyncpg.connect(own.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        return [await connection.fetchval(statement) for statement in statements][-1]
    finally:
        await connection.close()


def test_a_database_that_was_given_back_is_taken_again_without_its_rows(databases: Databases) -> None:
    own = databases.take()
    assert asyncio.run(asked(own, INSERT, COUNT)) == 1
    databases.give_back(own)
    assert databases.take() == own
    assert asyncio.run(asked(own, COUNT)) == 0
    databases.drop()


def test_nobody_has_a_database_that_another_has(databases: Databases) -> None:
    one, other = databases.take(), databases.take()
    asyncio.run(asked(one, INSERT))
    assert asyncio.run(asked(other, COUNT)) == 0
    databases.drop()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE workspaces ADD COLUMN colour text",
        "ALTER TABLE workspaces ALTER COLUMN name DROP NOT NULL",
        "DROP INDEX uq_jobs_kind_dedup_key",
        "CREATE SEQUENCE numbers",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ANALYZE workspaces",
    ],
)
def test_a_database_whose_schema_was_changed_is_dropped(databases: Databases, change: str) -> None:
    own = databases.take()
    asyncio.run(asked(own, INSERT, change))
    databases.give_back(own)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        asyncio.run(asked(own, COUNT))
    databases.drop()


def test_whoever_still_writes_is_ended(databases: Databases) -> None:
    own = databases.take()

    async def write() -> None:
        connection = await asyncpg.connect(own.set(drivername="postgresql").render_as_string(hide_password=False))
        writing = connection.transaction()
        await writing.start()
        await connection.execute(INSERT)
        await asyncio.to_thread(databases.give_back, own)
        with pytest.raises(asyncpg.InterfaceError):
            await writing.commit()

    asyncio.run(write())
    assert databases.take() == own
    assert asyncio.run(asked(own, COUNT)) == 0
    databases.drop()
