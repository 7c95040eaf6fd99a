"""Connections kept from one question to the next: taking one from the pool and giving it back costs as much as asking.

They are the pool's all the same: few of it, and given back once something fails on one of them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


class KeptConnections:
    """Connections of an engine, of which up to `most` are kept while nobody uses them."""

    def __init__(self, engine: AsyncEngine, most: int) -> None:
        self._engine = engine
        self._most = most
        self._idle: list[AsyncConnection] = []
        self._is_closed = False

    @property
    def idle(self) -> int:
        """How many are kept and not used."""
        return len(self._idle)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """One for the block alone. What it was left in when the block raises is nobody else's concern."""
        connection = await self._taken()
        is_good = False
        try:
            yield connection
            is_good = True
        finally:
            if is_good and len(self._idle) < self._most:
                self._idle.append(connection)
            else:
                # To its end, also for a caller that is cancelled: the pool would lack it.
                await asyncio.shield(asyncio.ensure_future(self._give_back(connection)))

    async def close(self) -> None:
        """Give back those that nobody uses, and from now on all others after their use."""
        self._most, self._is_closed = 0, True
        while self._idle:
            await self._idle.pop().close()

    async def _give_back(self, connection: AsyncConnection) -> None:
        if self._is_closed:
            await connection.invalidate()  # there may be no pool any more that would close it
        await connection.close()

    async def _taken(self) -> AsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if not _is_lost(connection):
                return connection
            await connection.close()
        return await self._engine.connect()


def _is_lost(connection: AsyncConnection) -> bool:
    """Whether the server has gone away meanwhile, as far as PostgreSQL's driver has seen it. Files do not go away."""
    if connection.dialect.name != "postgresql":
        return False
    return bool(cast("Any", connection.sync_connection).connection.driver_connection.is_closed())
