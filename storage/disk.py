"""A blob store in one folder of a disk, safe for several processes at once.

Made of `layout` (places, and what makes them last), `leases`, `room`, and one object per blob on its way in
(`writers`, `drafts`) or out (`readers`).
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

import aiofiles
import aiofiles.os

from storage.endings import Endings
from storage.faults import translated
from storage.gathering import Gathering
from storage.inventory import DiskInventory
from storage.keys import require_key
from storage.layout import Layout, Sync
from storage.leases import Leases
from storage.partial_writers import DiskPartialWriter
from storage.partials import Partials
from storage.readers import OpenFile, Span, pieces_of, read_at_once
from storage.room import Disk, Room
from storage.settlements import Settlements
from storage.settler_process import SettlerProcess
from storage.settling import Settling
from storage.store import Entry, Pace, Stored, StoreError
from storage.threads import Threads
from storage.writers import DiskWriter, Shared

# Enough to let the disk take several syncs as one; sums of large pieces keep no more than the cores busy anyway.
_THREADS = 8
_PROBE = b"Whoever reads this found a probe of the disk that was cut short.\n"

_log = logging.getLogger(__name__)


class DiskStore:
    """Blobs below `folder`, which this store makes and owns three folders of.

    Receiving stops with StoreFull when fewer than `floor_bytes` are free on the disk. A lease that was not renewed for
    `lease_seconds` is expired. `sync` makes bytes and folders survive power loss.
    """

    name = "disk"

    def __init__(self, folder: Path, *, floor_bytes: int, lease_seconds: float, sync: Sync = os.fsync) -> None:
        self._layout = Layout(folder, sync)
        self._leases = Leases(self._layout.leases, lease_seconds)
        self._room = Room(folder, floor_bytes)
        self._threads = Threads(_THREADS)
        self._endings = Endings(self._leases, self._threads)
        settling, process = Settling(self._layout, self._leases), SettlerProcess(self._layout, self._threads)
        self._settlements = Settlements(settling, self._endings, self._threads, process)
        self._writing = Shared(self._layout, self._leases, self._room, self._threads, self._settlements)
        self._partials = Partials(self._layout, self._room)
        self._inventory = DiskInventory(self._layout, self._leases, self._threads)
        self._crowd: WeakSet[Gathering] = WeakSet()
        self._renewal: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the folders, remove nothing, and begin to renew leases. Raises StoreError."""
        await self._threads.run(self._layout.open)
        await self._threads.run(self._leases.open)
        self._renewal = asyncio.create_task(self._renew_again_and_again())

    async def close(self) -> None:
        """Let jobs in flight come to their end. Leases are left to run out."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})
        await self._settlements.close()
        self._threads.close()
        if self._renewal is not None:
            self._layout.close()
            self._leases.close()

    async def create(self, key: str) -> DiskWriter:
        """Begin a blob under a fresh key. Raises StoreFull when the floor is reached, StoreError when in use.

        Nothing lies on the disk before the first 64 KiB to 4 MiB have come, or all: what lies there under the key
        already is found out then, not here.
        """
        require_key(key)
        if self._leases.holds(key):
            raise StoreError(f"{key} is in flight already")
        await self._writing.require_room()
        return DiskWriter(key, self._writing, Gathering(self._crowd))

    async def release(self, key: str) -> None:
        """Have the lease of a finished blob end, soon. Idempotent."""
        require_key(key)
        self._leases.forget(key)
        self._endings.note(key)

    def read(
        self, key: str, start: int = 0, end: int | None = None, *, size: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Bytes `start` up to, not including, `end` (None: all), in pieces of at most 1 MiB; see BlobStore."""
        require_key(key)
        return pieces_of(self._threads, self._layout, Span(key, start, end, size))

    def read_at_once(self, key: str, start: int, end: int, *, size: int) -> bytes | None:
        """A small range without waiting for the disk; see LocalFiles."""
        return read_at_once(self._layout, key, start, end, size=size)

    async def open_file(self, key: str) -> OpenFile:
        """The blob as a file. Raises BlobMissing, or StoreError."""
        require_key(key)
        return await self._threads.run(OpenFile, self._layout, key)

    async def delete(self, key: str) -> None:
        """Remove the bytes, finished or not, then the lease. Idempotent. Raises StoreError."""
        require_key(key)
        self._leases.forget(key)
        await self._threads.run(self._remove, key)

    async def extend(self, key: str, position: int, told: int = 0) -> DiskPartialWriter:
        """Go on with a partial blob; see Partials."""
        require_key(key)
        growth = await self._threads.run(self._partials.extend, key, position, told)
        return DiskPartialWriter(growth, position, self._threads, Gathering(self._crowd))

    async def place(self, key: str, position: int, size: int) -> DiskPartialWriter:
        """Write a part of a partial blob; see Partials."""
        require_key(key)
        growth = await self._threads.run(self._partials.place, key, position, size)
        return DiskPartialWriter(growth, position, self._threads, Gathering(self._crowd))

    async def reach(self, key: str, told: int = 0) -> int:
        """Where the bytes of a partial blob end; see Partials."""
        require_key(key)
        return await self._threads.run(self._partials.reach, key, told)

    async def is_extended(self, key: str) -> bool:
        """Whether somebody goes on with a partial blob; see Partials."""
        require_key(key)
        return await self._threads.run(self._partials.is_extended, key)

    async def join(self, key: str, keys: Sequence[str]) -> int:
        """Make one partial blob of several; see Partials."""
        for each in (key, *keys):
            require_key(each)
        return await self._threads.run(self._partials.join, key, keys)

    async def first_bytes(self, key: str, count: int) -> bytes:
        """The beginning of a blob, partial or not; see Partials."""
        require_key(key)
        return await self._threads.run(self._partials.first_bytes, key, count)

    def is_summed(self, key: str, size: int) -> bool:
        """Whether finishing a partial blob needs no reading; see Partials."""
        return self._partials.sums.has(key, size)

    async def finish(self, key: str, size: int) -> Stored:
        """Make a blob of a partial blob; see Partials."""
        require_key(key)
        return await self._threads.run(self._partials.finish, key, size)

    def blobs(self, after: str = "") -> AsyncGenerator[Sequence[Entry], None]:
        """Every finished blob, in the order of their keys; see Inventory."""
        return self._inventory.blobs(after)

    def incoming(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Every partial blob that is not finished; see Inventory."""
        return self._inventory.incoming()

    async def leased(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that are in flight under a lease; see Inventory."""
        for key in keys:
            require_key(key)
        return await self._threads.run(self._leases.marked, keys)

    async def unfinished(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that are partial blobs still; see Inventory."""
        for key in keys:
            require_key(key)
        return await self._inventory.unfinished(keys)

    async def measure(self, key: str) -> int | None:
        """How many bytes a finished blob has; see Inventory."""
        require_key(key)
        return await self._threads.run(self._layout.size_of, key)

    async def sum_up(self, key: str, pace: Pace) -> Stored:
        """What lies under a key as the disk has it; see Inventory."""
        require_key(key)
        return await self._inventory.sum_up(key, pace)

    async def discard(self, key: str) -> None:
        """Remove what is not finished under a key; see Inventory."""
        require_key(key)
        await self._threads.run(self._layout.discard, key)

    async def expired_leases(self) -> list[str]:
        """Keys whose lease was not renewed in time, by whatever process held it. Raises StoreError."""
        return await self._threads.run(self._leases.expired, self._leases.held())

    async def disk(self) -> Disk:
        """The disk that the blobs lie on. Raises StoreError."""
        return await self._threads.run(self._room.measure)

    async def check(self) -> None:
        """Write, sync and remove a small file, and see that the floor is free. Raises StoreFull or StoreError."""
        await self._threads.run(self._room.measure)
        self._room.require()
        # One name for all: a probe that was cut short is overwritten by the next one rather than left for good.
        path, executor = self._layout.folder / "probe", self._threads.executor
        with translated():
            try:
                async with aiofiles.open(path, "wb", opener=_private, executor=executor) as probe:
                    await probe.write(_PROBE)
                    await probe.flush()
                    await self._threads.run(self._layout.sync, probe.fileno())
            finally:
                with suppress(FileNotFoundError):
                    await aiofiles.os.remove(path, executor=executor)

    def _remove(self, key: str) -> None:
        self._layout.remove(key)
        self._partials.sums.forget(key)
        self._leases.end(key)

    async def _renew_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._leases.seconds / 4)
            try:
                await self._threads.run(self._leases.renew, self._leases.held())
            except StoreError:
                _log.exception("leases could not be renewed")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
