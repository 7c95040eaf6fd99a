"""What there is in the folder of a store: listed by branches, so that no list of all is ever made, and summed up again.

Everything that touches the disk blocks and raises OSError.
"""

import errno
import io
import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Lock

from storage.digest import Tally
from storage.keys import branch_of, is_key
from storage.layout import Layout
from storage.leases import Leases
from storage.store import BlobMissing, BlobUnreadable, Entry, Pace, Stored
from storage.threads import Threads

_BATCH = 500
_PIECE_BYTES = 1 << 20
# Of the disk below: what it cannot read, or what its file system knows to be wrong.
_DEFECTS = {errno.EIO, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO)}
_DROPPED: int | None = getattr(os, "POSIX_FADV_DONTNEED", None)


class DiskInventory:
    """The lists of one store. Ages are told by the clock that dates the files."""

    def __init__(self, layout: Layout, leases: Leases, threads: Threads) -> None:
        self._layout = layout
        self._leases = leases
        self._threads = threads

    async def blobs(self, after: str) -> AsyncGenerator[Sequence[Entry], None]:
        """See Inventory. A list of the names of a branch, one of 256, is the most that is in memory."""
        run = self._threads.run
        for branch in await run(_branches, self._layout.blobs):
            names = await run(_names, self._layout.blobs / branch, after)
            for at in range(0, len(names), _BATCH):
                yield await run(self._entries, self._layout.blobs / branch, names[at : at + _BATCH])

    async def incoming(self) -> AsyncGenerator[Sequence[Entry], None]:
        """See Inventory."""
        run = self._threads.run
        found = await run(os.scandir, self._layout.incoming)
        try:
            while names := await run(_some, found):
                yield await run(self._entries, self._layout.incoming, list(filter(is_key, names)))
        finally:
            found.close()

    async def unfinished(self, keys: Iterable[str]) -> set[str]:
        """See Inventory."""
        found = await self._threads.run(self._entries, self._layout.incoming, keys)
        return {entry.key for entry in found}

    async def sum_up(self, key: str, pace: Pace) -> Stored:
        """See Inventory."""
        reading = await self._threads.run(Rereading, self._layout, key)
        try:
            while count := await self._threads.run(reading.next):
                await pace(count)
        finally:
            self._threads.start(reading.close)
        return reading.stored()

    def _entries(self, folder: Path, names: Iterable[str]) -> list[Entry]:
        now, entries = self._leases.now(), []
        for name in names:
            # What was removed or finished between the listing and the look is not there.
            with suppress(FileNotFoundError):
                found = (folder / name).stat()
                # When it was moved or restored counts too, which only this time tells.
                entries.append(Entry(name, found.st_size, max(0.0, now - max(found.st_mtime, found.st_ctime))))
        return entries


class Rereading:
    """A blob that is read from the disk itself, piece by piece, and summed up. Methods wait for each other."""

    def __init__(self, layout: Layout, key: str) -> None:
        try:
            self._file = io.FileIO(layout.read(key))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        self._key = key
        self._tally = Tally()
        self._lock = Lock()
        # What is in memory is right for all we know; it is the disk that is asked.
        self._drop(0, 0)

    def next(self) -> int:
        """Read and count the next bytes; how many, 0 at the end. Raises BlobUnreadable."""
        with self._lock:
            position = self._tally.size
            try:
                piece = os.pread(self._file.fileno(), _PIECE_BYTES, position)
            except OSError as error:
                if error.errno in _DEFECTS:
                    raise BlobUnreadable(f"{self._key} at {position}: {error}") from error
                raise
            self._tally.add(piece)
            self._drop(position, len(piece))
            return len(piece)

    def stored(self) -> Stored:
        """What was counted."""
        return self._tally.stored(self._key)

    def close(self) -> None:
        """Let go of the blob."""
        with self._lock:
            self._file.close()

    def _drop(self, position: int, size: int) -> None:
        # Nor is what nobody asked for to take the place of what people ask for.
        if _DROPPED is not None:
            with suppress(OSError):
                os.posix_fadvise(self._file.fileno(), position, size, _DROPPED)


def _branches(folder: Path) -> list[str]:
    with os.scandir(folder) as found:
        return sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))


def _names(folder: Path, after: str) -> list[str]:
    if folder.name < after[: len(folder.name)]:
        return []
    with os.scandir(folder) as found:
        names = [entry.name for entry in found]
    return sorted(name for name in names if is_key(name) and branch_of(name) == folder.name and name > after)


def _some(found: Iterator[os.DirEntry[str]]) -> list[str]:
    return [entry.name for entry in islice(found, _BATCH)]
