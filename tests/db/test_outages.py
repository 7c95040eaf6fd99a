import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine.url import make_url

from db.engine import Database
from db.frequent import FrequentSelect
from db.outages import described, is_outage
from tests.databases import end_others
from tests.machine import free_port

END_ME = "SELECT pg_terminate_backend(pg_backend_pid())"
PIECE_BYTES = 1 << 16


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


def dsn_of(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@asynccontextmanager
async def kept_from_the_end(url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to a database on which its last words arrive, but not that it has hung up then: the event tells of that.

    Between the two there is a moment in any case. Here it lasts until the client leaves.
    """
    place, has_hung_up, is_over = make_url(url), asyncio.Event(), asyncio.Event()

    async def serve(from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(place.host, place.port)
        asking = asyncio.create_task(hand_on(from_client, to_server))
        await hand_on(from_server, to_client)
        await asyncio.sleep(0)  # so that the client has read them
        has_hung_up.set()
        await asking
        to_client.close()
        to_server.close()
        is_over.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as relay:
        port = relay.sockets[0].getsockname()[1]
        yield place.set(port=port).render_as_string(hide_password=False), has_hung_up
        await is_over.wait()


async def hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await source.read(PIECE_BYTES):
            target.write(piece)


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
async def test_a_server_that_is_away_is_an_outage(host: str) -> None:
    assert is_outage(await fault_of(f"postgresql+asyncpg://{host}:{free_port()}/own", "SELECT 1"))


async def test_a_connection_that_is_lost_is_an_outage(postgres_url: str) -> None:
    fault = await fault_of(postgres_url, END_ME)
    assert is_outage(fault)
    assert described(fault) == "AdminShutdownError 57P01: terminating connection due to administrator command"


async def test_so_it_is_where_the_driver_is_asked_by_itself(postgres_url: str) -> None:
    driver = await asyncpg.connect(dsn_of(postgres_url))
    with pytest.raises(asyncpg.PostgresError) as raised:
        await driver.fetch(END_ME)
    assert is_outage(raised.value)


async def test_so_it_is_where_the_transaction_has_still_to_be_rolled_back(postgres_url: str) -> None:
    database = Database(postgres_url)
    with pytest.raises(Exception, match=r"rollback.*closed") as raised:
        async with database.transaction() as tx:
            await tx.frequent(FrequentSelect(text(END_ME)), {})
    await database.close()
    assert is_outage(raised.value)


async def test_so_it_is_where_it_was_lost_before_the_question(postgres_url: str) -> None:
    driver = await asyncpg.connect(dsn_of(postgres_url))
    await end_others(make_url(postgres_url))
    while not driver.is_closed():  # noqa: ASYNC110 - what is waited for sets no event
        await asyncio.sleep(0)
    with pytest.raises(asyncpg.InterfaceError, match="closed") as raised:
        await driver.fetch("SELECT 1")
    assert is_outage(raised.value)


@pytest.mark.parametrize("is_known", [True, False])
async def test_so_it_is_where_the_server_has_said_so_and_not_hung_up_yet(postgres_url: str, *, is_known: bool) -> None:
    async with kept_from_the_end(postgres_url) as (url, has_hung_up):
        driver = await asyncpg.connect(dsn_of(url), ssl=False)
        if is_known:
            await driver.fetch("SELECT 1")
        await end_others(make_url(postgres_url))
        await has_hung_up.wait()
        with pytest.raises(asyncpg.InternalClientError) as raised:
            await driver.fetch("SELECT 1")
    assert is_outage(raised.value)


async def test_two_questions_at_once_on_one_connection_are_none(postgres_url: str) -> None:
    driver = await asyncpg.connect(dsn_of(postgres_url))
    first = asyncio.create_task(driver.fetch("SELECT pg_sleep(0.1)"))
    await asyncio.sleep(0)
    with pytest.raises(asyncpg.InterfaceError) as raised:
        await driver.fetch("SELECT 1")
    await first
    await driver.close()
    assert not is_outage(raised.value)


async def test_a_full_disk_is_an_outage(tmp_path: Path) -> None:
    full = ["CREATE TABLE own (a)", "PRAGMA max_page_count = 3", "INSERT INTO own VALUES (zeroblob(100000))"]
    fault = await fault_of(f"sqlite+aiosqlite:///{tmp_path}/own.db", *full)
    assert is_outage(fault)
    assert described(fault) == "OperationalError SQLITE_FULL: database or disk is full"


async def test_one_without_words_is_described_by_its_class() -> None:
    assert described(TimeoutError()) == "TimeoutError"


async def test_what_does_not_pass_by_itself_is_none(database_url: str) -> None:
    assert not is_outage(await fault_of(database_url, "SELECT nothing"))
    assert not is_outage(ValueError())
