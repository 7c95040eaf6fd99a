import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from db.embedded import ROWS_AT_ONCE, Connection, Cursor, connecting_to
from db.engine import Database
from tests.machine import PATIENCE_SECONDS, wait_for

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3000000) SELECT max(x) FROM n"


class Counted(Connection):
    """A connection that counts how often its thread is asked."""

    asked = 0

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]


async def test_a_statement_and_all_of_its_rows_are_asked_for_once() -> None:
    connection = Counted(lambda: sqlite3.connect(":memory:"))
    await connection
    cursor = await connection.cursor().execute("SELECT 1 AS one, ? AS two UNION ALL SELECT 3, 4", ("x",))

    assert [column[0] for column in cursor.description] == ["one", "two"]
    assert await cursor.fetchall() == [(1, "x"), (3, 4)]
    await cursor.close()
    assert connection.asked == 1
    await connection.close()


async def numbers(count: int) -> tuple[Counted, Cursor]:
    """A connection, and a cursor on it whose statement has so many rows."""
    connection = Counted(lambda: sqlite3.connect(":memory:"))
    await connection
    text = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) SELECT x FROM n"
    return connection, await connection.cursor().execute(text, (count,))


@pytest.mark.parametrize("more", [0, 1, ROWS_AT_ONCE])
async def test_many_rows_come_with_the_second_time(more: int) -> None:
    connection, cursor = await numbers(ROWS_AT_ONCE + more)
    assert [number for (number,) in await cursor.fetchall()] == list(range(1, ROWS_AT_ONCE + more + 1))
    assert await cursor.fetchmany(5) == []
    await connection.close()


async def test_rows_are_had_in_batches_of_any_size() -> None:
    connection, cursor = await numbers(2 * ROWS_AT_ONCE)
    found: list[int] = []
    while some := await cursor.fetchmany(300):
        found += [number for (number,) in some]
    assert found == list(range(1, 2 * ROWS_AT_ONCE + 1))
    assert connection.asked == 3
    await connection.close()


async def test_rows_that_nobody_wants_any_more_are_let_go_of() -> None:
    connection, cursor = await numbers(10 * ROWS_AT_ONCE)
    assert await cursor.fetchmany(1) == [(1,)]
    await cursor.close()
    assert connection.asked == 2
    await connection.close()


async def test_what_a_statement_writes_can_be_read_back_from_it(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'own.sqlite'}")
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE numbers (number INTEGER)"))
        await tx.execute_each(text("INSERT INTO numbers VALUES (:number)"), [{"number": 1}, {"number": 2}])
        returned = await tx.all(text("UPDATE numbers SET number = number + 1 RETURNING number"))
        assert sorted(returned) == [(2,), (3,)]
        assert await tx.execute(text("UPDATE numbers SET number = number + 1")) == 2
    async with database.reading() as rows:
        assert await rows.all(text("SELECT number FROM numbers ORDER BY number")) == [(3,), (4,)]
    await database.close()


@pytest.mark.parametrize("opened", [Database.reading, Database.transaction])
async def test_a_statement_that_fails_leaves_the_connection_as_it_was(
    sqlite_url: str, opened: Callable[[Database], Any]
) -> None:
    database = Database(sqlite_url, pool_size=1)
    async with opened(database) as rows:
        with pytest.raises(OperationalError, match="no such table"):
            await rows.all(text("SELECT * FROM absent"))
        assert await rows.scalar(text("SELECT 1")) == 1
    async with opened(database) as rows:
        assert await rows.scalar(text("SELECT 2")) == 2
    await database.close()


@pytest.mark.parametrize("opened", [Database.reading, Database.transaction])
async def test_who_gives_up_waiting_for_a_statement_is_in_nobodys_way(
    sqlite_url: str, opened: Callable[[Database], Any]
) -> None:
    database = Database(sqlite_url, pool_size=1)

    async def wait() -> None:
        async with opened(database) as rows:
            await rows.scalar(text(ENDLESS))

    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(), 0.01)
    async with database.transaction() as tx:
        await tx.execute(text("CREATE TABLE numbers (number INTEGER)"))
    async with database.reading() as rows:
        assert await rows.scalar(text("SELECT count(*) FROM numbers")) == 0
    await database.close()


def test_who_gives_up_while_a_connection_is_opened_leaves_no_thread_behind(sqlite_url: str) -> None:
    async def give_up(after: int) -> None:
        connecting = asyncio.ensure_future(connecting_to(sqlite_url)())
        for _ in range(after):
            await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait({connecting})
        if not connecting.cancelled():
            await connecting.result().close()

    before = threading.active_count()
    for after in (1, 2, 3, 5, 8):
        asyncio.run(give_up(after))
    assert wait_for(lambda: threading.active_count() == before, PATIENCE_SECONDS)


async def test_who_gives_up_on_what_cannot_be_opened_is_told_of_that_alone(tmp_path: Path) -> None:
    connecting = asyncio.ensure_future(connecting_to(f"sqlite+aiosqlite:///{tmp_path}")())
    await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting


async def test_what_the_url_says_of_the_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "own.sqlite"
    await written_once(connecting_to(f"sqlite+aiosqlite:///{path}"))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await written_once(connecting_to(f"sqlite+aiosqlite:///file:{path}?mode=ro&uri=true"))


async def written_once(connecting: Callable[[], Awaitable[Any]]) -> None:
    connection = await connecting()
    try:
        await connection.cursor().execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
        await connection.cursor().execute("INSERT INTO numbers VALUES (1)")
    finally:
        await connection.close()
