"""A partial blob that bytes are coming for: the half of a writer that runs in the event loop."""

import asyncio
from contextlib import suppress

from storage.gathering import Gathering
from storage.growths import Growth
from storage.store import StoreError
from storage.threads import Threads


class DiskPartialWriter:
    """Gathers pieces, and has one job write and sum them up while the next are gathered. What was written is kept."""

    def __init__(self, growth: Growth, position: int, threads: Threads, gathering: Gathering) -> None:
        self._growth = growth
        self._position = position
        self._threads = threads
        self._gathering = gathering
        self._job: asyncio.Future[None] | None = None
        self._closing: asyncio.Future[int] | None = None

    @property
    def position(self) -> int:
        """Where the next byte goes."""
        return self._position

    async def write(self, data: bytes) -> None:
        """Take the next bytes, in order; waits while the store is busy. Raises StoreFull or StoreError."""
        if self._closing is not None:
            raise StoreError("the writer is closed")
        self._position += len(data)
        self._gathering.add(data)
        if self._gathering.is_full:
            await self._last_job()
            self._job = self._threads.start(self._growth.append, self._gathering.take())

    async def close(self, keep: int | None = None) -> int:
        """Make what has come durable; up to which position everything has come. See PartialWriter."""
        if self._closing is None:
            with suppress(StoreError):
                await self._last_job()
        if self._closing is None:  # somebody else may have been first while the job ended
            pieces = self._gathering.take()
            self._gathering.end()
            self._closing = self._threads.start(self._growth.close, pieces, keep)
        return await asyncio.shield(self._closing)

    async def _last_job(self) -> None:
        if self._job is not None:
            await asyncio.shield(self._job)
