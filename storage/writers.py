"""A blob while it is being received: the half of a writer that runs in the event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from storage.drafts import Draft
from storage.gathering import Gathering
from storage.layout import Layout
from storage.leases import Leases
from storage.room import Room
from storage.settlements import Settlements
from storage.settling import SMALL_BYTES, SmallBlob
from storage.store import Stored, StoreError
from storage.threads import Threads, see_failure


@dataclass(frozen=True, slots=True)
class Shared:
    """What all writers of a store share: where blobs lie, what room is left, and who does what takes long."""

    layout: Layout
    leases: Leases
    room: Room
    threads: Threads
    settlements: Settlements

    async def require_room(self) -> None:
        """Do nothing while there is room. Raises StoreFull, and StoreError when nobody knows."""
        if self.room.is_known:
            self.room.require()
        else:
            await self.threads.run(self.room.require)


class DiskWriter:
    """Gathers pieces, and has one job write and sum them up while the next are gathered.

    A blob that is complete before the first job is settled as a whole. When a method fails or is cancelled, what was
    stored is removed.
    """

    def __init__(self, key: str, shared: Shared, gathering: Gathering) -> None:
        self._key = key
        self._shared = shared
        self._gathering = gathering
        self._size = 0
        self._draft: Draft | None = None
        self._job: asyncio.Future[None] | None = None
        self._settling: asyncio.Future[Stored] | None = None
        self._removal: asyncio.Future[None] | None = None
        self._is_finished = False
        shared.leases.hold(key, self)

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
                self._append(self._gathering.take())

    async def finish(self) -> Stored:
        """Make the bytes durable and visible under the key. Raises StoreFull or StoreError."""
        self._require_open()
        async with self._removed_on_failure():
            await self._last_job()
            if self._is_small:
                await self._shared.require_room()
                self._require_open()  # it may have been abandoned meanwhile
            self._settling = self._settle(self._gathering.take())
            stored = await asyncio.shield(self._settling)
        self._is_finished = True
        self._gathering.end()
        self._shared.leases.hold(self._key, stored)
        return stored

    async def abandon(self) -> None:
        """Remove what was stored and end the lease, unless it was released. Waits for the job in flight."""
        if self._removal is None:
            if self._is_finished and not self._shared.leases.holds(self._key):
                return
            self._shared.leases.forget(self._key)
            self._gathering.end()
            self._removal = asyncio.create_task(self._remove())
            self._removal.add_done_callback(see_failure)
        await asyncio.shield(self._removal)

    @property
    def _is_small(self) -> bool:
        return self._draft is None and self._size <= SMALL_BYTES

    def _append(self, pieces: list[bytes | bytearray]) -> None:
        self._job = self._shared.threads.start(self._begun().append, pieces)

    def _begun(self) -> Draft:
        if self._draft is None:
            self._draft = Draft(self._key, self._shared.layout, self._shared.leases, self._shared.room)
        return self._draft

    def _settle(self, pieces: list[bytes | bytearray]) -> asyncio.Future[Stored]:
        if self._is_small:
            return self._shared.settlements.start(SmallBlob(self._key, b"".join(pieces)))
        return self._shared.threads.start(self._begun().settle, pieces)

    async def _remove(self) -> None:
        if self._draft is not None:
            await self._shared.threads.run(self._draft.discard)
        elif self._settling is not None:
            await asyncio.wait({self._settling})
            if self._settling.exception() is None:  # else it was removed, or nobody knows and its lease runs out
                await self._shared.settlements.undo(self._settling.result())

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
