"""A blob while it is being received: the half of a writer that runs in the event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from weakref import WeakSet

from storage.drafts import Draft
from storage.leases import Leases
from storage.store import Stored, StoreError
from storage.threads import Threads

# Pieces smaller than this are copied together: kept apart, single bytes would take fifty times their size.
_SMALL_BYTES = 16 << 10
# What a writer gathers before a job takes it. Large is fast; when many gather at once, each gathers less.
_MOST_BYTES = 1 << 20
_LEAST_BYTES = 64 << 10
_TOGETHER_BYTES = 16 << 20


class DiskWriter:
    """Gathers pieces, and has one job write and sum them up while the next are gathered.

    A blob that never fills the first gathering is made by one job, in `finish`. When a method fails or is cancelled,
    what was stored is removed.
    """

    def __init__(self, key: str, draft: Draft, threads: Threads, leases: Leases, crowd: "WeakSet[DiskWriter]") -> None:
        self._key = key
        self._draft = draft
        self._threads = threads
        self._leases = leases
        self._crowd = crowd
        self._size = 0
        self._pieces: list[bytes | bytearray] = []
        self._gathered = 0
        self._job: asyncio.Future[None] | None = None
        self._removal: asyncio.Future[None] | None = None
        self._is_finished = False
        crowd.add(self)
        leases.hold(key, self)

    @property
    def size(self) -> int:
        """Bytes accepted so far."""
        return self._size

    async def write(self, data: bytes) -> None:
        """Take the next bytes, in order; waits while the store is busy. Raises StoreFull or StoreError."""
        self._require_open()
        self._gather(data)
        if self._gathered >= max(_LEAST_BYTES, min(_MOST_BYTES, _TOGETHER_BYTES // len(self._crowd))):
            async with self._removed_on_failure():
                await self._last_job()
                self._job = self._threads.start(self._draft.append, self._pieces)
                self._pieces, self._gathered = [], 0

    async def finish(self) -> Stored:
        """Make the bytes durable and visible under the key. Raises StoreFull or StoreError."""
        self._require_open()
        async with self._removed_on_failure():
            await self._last_job()
            stored = await self._threads.run(self._draft.settle, self._pieces)
        self._is_finished = True
        self._close()
        self._leases.hold(self._key, stored)
        return stored

    async def abandon(self) -> None:
        """Remove what was stored and end the lease, unless it was released. Waits for the job in flight."""
        if self._removal is None:
            if self._is_finished and not self._leases.holds(self._key):
                return
            self._leases.forget(self._key)
            self._close()
            self._removal = self._threads.start(self._draft.discard)
        await asyncio.shield(self._removal)

    def _close(self) -> None:
        self._pieces = []
        self._crowd.discard(self)

    def _require_open(self) -> None:
        if self._is_finished or self._removal is not None:
            raise StoreError("the blob is finished or abandoned")

    def _gather(self, data: bytes) -> None:
        self._size += len(data)
        self._gathered += len(data)
        last = self._pieces[-1] if self._pieces else None
        if len(data) >= _SMALL_BYTES:
            self._pieces.append(data)
        elif isinstance(last, bytearray) and len(last) < _SMALL_BYTES:
            last += data
        else:
            self._pieces.append(bytearray(data))

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
