from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine.url import make_url

from db.engine import Database
from db.outages import is_outage
from tests.machine import free_port

END_ME = "SELECT pg_terminate_backend(pg_backend_pid())"


async def fault_of(url: str, *statements: str) -> Exception:
    """What a transaction of these statements raises."""
    database = Database(url)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - which one is the question
        await run(database, statements)
    await database.close()
    return raised.value


async def run(database: Database, statements: tuple[str, ...]) -> None:
    async with database.transaction() as tx:
        for statement in statements:
            await tx.execute(text(statement))


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
async def test_a_server_that_is_away_is_an_outage(host: str) -> None:
    assert is_outage(await fault_of(f"postgresql+asyncpg://{host}:{free_port()}/own", "SELECT 1"))


async def test_a_connection_that_is_lost_is_an_outage(postgres_url: str) -> None:
    assert is_outage(await fault_of(postgres_url, END_ME))


async def test_so_it_is_where_the_driver_is_asked_by_itself(postgres_url: str) -> None:
    dsn = make_url(postgres_url).set(drivername="postgresql").render_as_string(hide_password=False)
    driver = await asyncpg.connect(dsn)
    with pytest.raises(asyncpg.PostgresError) as raised:
        await driver.fetch(END_ME)
    assert is_outage(raised.value)


async def test_a_full_disk_is_an_outage(tmp_path: Path) -> None:
    full = ["CREATE TABLE own (a)", "PRAGMA max_page_count = 3", "INSERT INTO own VALUES (zeroblob(100000))"]
    assert is_outage(await fault_of(f"sqlite+aiosqlite:///{tmp_path}/own.db", *full))


async def test_what_does_not_pass_by_itself_is_none(database_url: str) -> None:
    assert not is_outage(await fault_of(database_url, "SELECT nothing"))
    assert not is_outage(ValueError())
