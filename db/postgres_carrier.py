"""News between processes that share a PostgreSQL: NOTIFY and LISTEN, on one connection that does nothing else.

The notices are sent after the commit that they tell of: inside of it they would have commits wait for each other.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db.opening import options

CHANNEL = "cairn"
RETRY_SECONDS = 1.0
CHECK_SECONDS = 30.0
"""How often it is asked whether the server is still there: nobody says so of a connection that is silently dropped."""

ANSWER_SECONDS = 10.0
_log = logging.getLogger(__name__)


class PostgresCarrier:
    """Implements `db.bus.Carrier`."""

    def __init__(self, url: str, *, retry_seconds: float = RETRY_SECONDS, check_seconds: float = CHECK_SECONDS) -> None:
        self._retry_seconds = retry_seconds
        self._check_seconds = check_seconds
        self._engine = create_async_engine(
            url,
            hide_parameters=True,
            poolclass=NullPool,
            connect_args=options(ANSWER_SECONDS, ANSWER_SECONDS),
        )
        self._connection: Any = None
        self._turn = asyncio.Lock()

    async def send(self, parcel: str) -> bool:
        """Notify the others. False while there is no connection."""
        try:
            return await self._execute("SELECT pg_notify($1, $2)", CHANNEL, parcel)
        except Exception as fault:  # noqa: BLE001 - whatever the driver raises, the parcel is lost and nothing else
            _log.warning("News could not be told to other processes (%s).", type(fault).__name__)
            return False

    async def run(self, deliver: Callable[[str], None]) -> None:
        """Listen, and begin anew whenever the connection ends."""
        while True:
            try:
                await self._listen(deliver)
            except Exception as fault:  # noqa: BLE001 - whatever it is, it may be over next time
                _log.warning("News of other processes are not heard (%s).", type(fault).__name__)
            await asyncio.sleep(self._retry_seconds)

    async def _listen(self, deliver: Callable[[str], None]) -> None:
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            lost = asyncio.Event()
            driver.add_termination_listener(lambda _: lost.set())
            await driver.add_listener(CHANNEL, lambda _connection, _process, _channel, parcel: deliver(parcel))
            self._connection = driver
            try:
                await self._wait_until(lost)
            finally:
                self._connection = None
                driver.terminate()

    async def _wait_until(self, lost: asyncio.Event) -> None:
        while not lost.is_set():
            try:
                async with asyncio.timeout(self._check_seconds):
                    await lost.wait()
            except TimeoutError:
                await self._execute("SELECT 1")

    async def _execute(self, statement: str, *arguments: str) -> bool:
        async with self._turn:
            if self._connection is None:
                return False
            await self._connection.execute(statement, *arguments)
            return True
