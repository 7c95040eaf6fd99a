"""A blob while it is being received: the half of a writer that runs in the event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from storage.drafts import Draft
from storage.gathering import Gathering
from storage.leases import Leases
from storage.store import Stored, StoreError
from storage.threads import Threads


class DiskWriter:
    """Gathers pieces, and has one job write and sum them up while the next are gathered.

    A blob that never fills the first gathering is made by one job, in `finish`. When a method fails or is cancelled,
    what was stored is removed.
    """

    def __init__(self, key: str, draft: Draft, threads: Threads, leases: Leases, gathering: Gathering) -> None:
        self._key = key
        self._draft = draft
        self._threads = threads
        self._leases = leases
        self._gathering = gathering
        self._size = 0
        self._job: asyncio.Future[None] | None = None
        self._removal: asyncio.Future[None] | None = None
        self._is_finished = False
        leases.hold(key, self)

    @property
    def size(self) -> int:
        """Bytes accepted so far."""
        return self._size

    async def write(self, data: bytes) -> None:
        """Take the next bytes, in order; waits while the store is busy. Raises StoreFull or StoreError."""
        self._require_open()
        self._size += len(data)
        self._gathering.add(data)
        if self._gathering.is_full:
            async with self._removed_on_failure():
                await self._last_job()
                self._job = self._threads.start(self._draft.append, self._gathering.take())

    async def finish(self) -> Stored:
        """Make the bytes durable and visible under the key. Raises StoreFull or StoreError."""
        self._require_open()
        async with self._removed_on_failure():
            await self._last_job()
            stored = await self._threads.run(self._draft.settle, self._gathering.take())
        self._is_finished = True
        self._gathering.end()
        self._leases.hold(self._key, stored)
        return stored

    async def abandon(self) -> None:
        """Remove what was stored and end the lease, unless it was released. Waits for the job in flight."""
        if self._removal is None:
            if self._is_finished and not self._leases.holds(self._key):
                return
            self._leases.forget(self._key)
            self._gathering.end()
            self._removal = self._threads.start(self._draft.discard)
        await asyncio.shield(self._removal)

    def _require_open(self) -> None:
        if self._is_finished or self._removal is not None:
            raise StoreError("the blob is finished or abandoned")

    async def _last_job(self) -> None:
        if self._job is not None:
            await asyncio.shield(self._job)

    @asynccontextmanager
    async def _removed_on_failure(self) -> AsyncIterator[None]:
        try:
            yield
        except (Exception, asyncio.CancelledError):
            # Where removing fails too, the lease runs out and a sweep removes it; the first failure is the one to tell.
            with suppress(StoreError):
                await self.abandon()
            raise
