"""A blob while it is being received: the half of a writer that blocks."""

import io
from contextlib import suppress
from threading import Lock

from storage.appending import Appending
from storage.digest import Pieces, Tally
from storage.layout import Layout
from storage.leases import Leases
from storage.room import Room
from storage.store import Stored, StoreError


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
        self._tally = Tally()
        self._appending: Appending | None = None
        self._is_settled = False
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
            self._is_settled = True  # whatever goes wrong from here on, these bytes may be there
            try:
                self._layout.settle(self._key)
            except FileExistsError:
                self._is_settled = False  # what lies there is another's
                raise
            return self._tally.stored(self._key)

    def discard(self) -> None:
        """Remove whatever was stored, then the lease."""
        with self._lock:
            self._is_discarded = True
            if self._appending is not None:
                with suppress(OSError):
                    self._appending.file.close()
                if self._is_settled:
                    self._layout.remove(self._key)
                self._leases.end(self._key)

    def _append(self, pieces: Pieces) -> io.FileIO:
        if self._is_discarded:
            raise StoreError("the blob was abandoned")
        self._room.require()
        if self._appending is None:
            # A file object closes itself when a writer is forgotten rather than ended.
            self._appending = Appending(io.FileIO(self._layout.begin(self._key), "w"), tally=self._tally)
        self._appending.append(pieces)
        return self._appending.file
