"""Connections to SQLite that ask its thread once for a statement and its rows.

The driver asks once each for a cursor, for the statement, for the rows and for the cursor's end. Each time the event
loop and the thread have to wake each other, which takes several times as long as what SQLite does.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import aiosqlite
import sqlalchemy
from sqlalchemy.engine.url import make_url

BUSY_SECONDS = 60
ROWS_AT_ONCE = 1000
"""What comes with a statement: all rows of nearly every one, and no more than that of a long one at a time."""
PRAGMAS = (
    f"busy_timeout={BUSY_SECONDS * 1000}",  # first, so that it holds for the others
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
)


class Connection(aiosqlite.Connection):
    """A connection, with a thread of its own that does what it is asked in order."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, ROWS_AT_ONCE)
        self._thread.daemon = True  # one that is lost is no reason for the process to stay
        self._stopped: asyncio.Future[Any] | None = None

    async def open(self) -> "Connection":
        """The same, once it is open. Raises sqlite3.Error when its thread has ended."""
        try:
            await self
        except sqlite3.Error:
            if self._stopped:
                await self._stopped
            raise
        return self

    def stop(self) -> "asyncio.Future[Any] | None":
        """Have the thread end."""
        self._stopped = super().stop()
        return self._stopped

    def cursor(self) -> "Cursor":  # type: ignore[override]  # that one asks the thread
        """What a statement can be run with."""
        return Cursor(self)

    async def run(self, act: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - whatever SQLite gives
        """What `act` makes of SQLite's own connection, in the thread."""
        return await self._execute(act, self._conn, *arguments)  # type: ignore[no-untyped-call]


class Cursor(aiosqlite.Cursor):
    """A statement and its first rows, which are here once it has run: mostly all of them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self._has_more = False

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> "Cursor":
        """Run a statement and fetch its first rows."""
        self._cursor, self._rows = await self._connection.run(_executed, sql, parameters or ())
        self._has_more = len(self._rows) == ROWS_AT_ONCE
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> "Cursor":
        """Run a statement that gives no rows once for each of these parameters."""
        self._cursor = await self._connection.run(sqlite3.Connection.executemany, sql, parameters)
        return self

    async def fetchall(self) -> list[Any]:
        """Every row that was not fetched yet."""
        rows, self._rows = self._rows, []
        return rows + await self._more(self._cursor.fetchall) if self._has_more else rows

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows, so many at most; none at the end."""
        if not self._rows and self._has_more:
            self._rows = await self._more(partial(self._cursor.fetchmany, ROWS_AT_ONCE))
            self._has_more = len(self._rows) == ROWS_AT_ONCE
        rows, self._rows = self._rows[:size], self._rows[size or ROWS_AT_ONCE :]
        return rows

    async def close(self) -> None:
        """Let go of a statement that has more rows. Of any other SQLite has let go by itself."""
        if self._has_more:
            await self._more(self._cursor.close)

    async def _more(self, act: Callable[[], Any]) -> Any:  # noqa: ANN401
        return await self._connection.run(lambda _: act())


def connecting_to(url: str) -> Callable[[], Awaitable[aiosqlite.Connection]]:
    """How connections to the database of this URL are opened."""
    place = make_url(url)
    [path], options = place.get_dialect()().create_connect_args(place)

    async def connect() -> aiosqlite.Connection:
        opening = asyncio.ensure_future(Connection(partial(_opened, path, options)).open())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Its thread would be left with nobody to tell, perhaps until after the event loop has ended.
            with suppress(sqlite3.Error):
                await (await opening).close()
            raise

    return connect


def begin_immediate(connection: sqlalchemy.Connection) -> None:
    """Begin with the write lock, so that who writes waits for it rather than fails for the lack of it."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _opened(path: str, options: Mapping[str, Any]) -> sqlite3.Connection:
    # The driver must not begin transactions by itself: it would take the write lock late, and fail then.
    connection: sqlite3.Connection = sqlite3.connect(path, **{**options, "isolation_level": None})
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _executed(connection: sqlite3.Connection, sql: str, parameters: Any) -> tuple[sqlite3.Cursor, list[Any]]:  # noqa: ANN401
    cursor = connection.execute(sql, parameters)
    return cursor, cursor.fetchmany(ROWS_AT_ONCE)
