"""A blob while it is being received: the half of a writer that blocks."""

import io
import os
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock

from storage.digest import Tally
from storage.layout import Layout
from storage.leases import Leases
from storage.room import Room
from storage.store import Stored, StoreError

Pieces = Sequence[bytes | bytearray]

_HURRY_BYTES = 8 << 20
# On Linux this starts writing dirty pages without waiting for them; they stay in memory until they are written.
_FLUSHED: int | None = getattr(os, "POSIX_FADV_DONTNEED", None)


class Draft:
    """Bytes under one key that are not a blob yet. The disk is first touched when the first pieces come.

    Methods raise OSError and StoreError, and wait for each other: what `discard` removes stays away.
    """

    def __init__(self, key: str, layout: Layout, leases: Leases, room: Room) -> None:
        self._key = key
        self._layout = layout
        self._leases = leases
        self._room = room
        self._lock = Lock()
        self._file: io.FileIO | None = None
        self._tally = Tally()
        self._hurried = 0
        self._is_discarded = False

    def append(self, pieces: Pieces) -> None:
        """Store and count the next bytes."""
        with self._lock:
            self._append(pieces)

    def settle(self, pieces: Pieces) -> Stored:
        """Store and count the last bytes, and make all of them durable and visible under the key."""
        with self._lock:
            file = self._append(pieces)
            self._layout.sync(file.fileno())
            file.close()
            self._layout.settle(self._key)
            return self._tally.stored(self._key)

    def discard(self) -> None:
        """Remove whatever was stored, then the lease."""
        with self._lock:
            self._is_discarded = True
            if self._file is not None:
                with suppress(OSError):
                    self._file.close()
                self._layout.remove(self._key)
                self._leases.end(self._key)

    def _append(self, pieces: Pieces) -> io.FileIO:
        if self._is_discarded:
            raise StoreError("the blob was abandoned")
        self._room.require()
        if self._file is None:
            self._file = self._begin()
        _write(self._file.fileno(), pieces)
        for piece in pieces:
            self._tally.add(piece)
        self._hurry(self._file.fileno())
        return self._file

    def _hurry(self, descriptor: int) -> None:
        """Have the disk begin with what has come so far, so that less is left for the sync at the end."""
        size = self._tally.size
        if _FLUSHED is not None and size - self._hurried >= _HURRY_BYTES:
            with suppress(OSError):  # it is advice: where it is not taken, the sync does all
                os.posix_fadvise(descriptor, self._hurried, size - self._hurried, _FLUSHED)
            self._hurried = size

    def _begin(self) -> io.FileIO:
        self._leases.begin(self._key)
        try:
            # A file object closes itself when a writer is forgotten rather than ended.
            return io.FileIO(self._layout.begin(self._key), "w")
        except OSError:
            self._leases.end(self._key)
            raise


def _write(descriptor: int, pieces: Sequence[bytes | bytearray | memoryview]) -> None:
    while pieces:
        pieces = _after(os.writev(descriptor, pieces), pieces)


def _after(written: int, pieces: Sequence[bytes | bytearray | memoryview]) -> Sequence[memoryview]:
    if written == sum(map(len, pieces)):
        return ()
    # The disk is about to be full, a limit is near, or a signal came in between: the next write tells.
    return (memoryview(b"".join(pieces))[written:],)
