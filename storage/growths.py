"""A partial blob that one writer has open: the half of it that blocks."""

import io
import os
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

from storage.appending import Appending
from storage.digest import Pieces
from storage.layout import Layout
from storage.room import Room
from storage.store import StoreError
from storage.sums import Sums


@dataclass(frozen=True, slots=True)
class Ground:
    """What all partial blobs of a store share: where they lie, what room is left, and what is known of their sums."""

    layout: Layout
    room: Room
    sums: Sums


class Growth:
    """A partial blob that one writer has open. Methods raise OSError and StoreError, and wait for each other.

    `end` is where a part has to end; None for who writes alone, and behind whom nothing lies.
    """

    def __init__(self, ground: Ground, key: str, appending: Appending, end: int | None) -> None:
        self._ground = ground
        self._key = key
        self._appending = appending
        self._start = appending.position
        self._end = end
        self._lock = Lock()
        self._has_failed = False

    def append(self, pieces: Pieces) -> None:
        """Write the next bytes. Once that has failed it does so ever after: a gap would look like bytes."""
        with self._lock:
            if self._has_failed:
                raise StoreError("an earlier write failed")
            try:
                self._ground.room.require()
                self._require_place(pieces)
                self._appending.append(pieces)
            except (OSError, StoreError):
                self._has_failed = True
                raise

    def close(self, pieces: Pieces, keep: int | None) -> int:
        """Write the last bytes, if they can be, and make all durable; where they end."""
        with suppress(OSError, StoreError):
            self.append(pieces)
        with self._lock, self._appending.file as file:
            self._cut(file, keep)
            self._sync(file)
            self._remember(file)
            return self._appending.position

    def _cut(self, file: io.FileIO, keep: int | None) -> None:
        appending = self._appending
        if keep is not None and keep < appending.position:
            os.ftruncate(file.fileno(), keep)
            appending.position, appending.tally = keep, None
        elif self._has_failed and self._end is None:
            os.ftruncate(file.fileno(), appending.position)

    def _sync(self, file: io.FileIO) -> None:
        try:
            self._ground.layout.keep(file.fileno())
        except OSError:
            if self._end is None:
                cut_back(file, self._start)
            raise

    def _remember(self, file: io.FileIO) -> None:
        tally = self._appending.tally
        if not self._has_failed and tally is not None and tally.size == self._appending.position:
            self._ground.sums.remember(self._key, file.fileno(), tally)

    def _require_place(self, pieces: Pieces) -> None:
        if self._end is not None and self._appending.position + sum(map(len, pieces)) > self._end:
            raise StoreError(f"the part ends at {self._end}")


def cut_back(file: io.FileIO, position: int) -> None:
    """Remove what lies behind a position, since it could not be synced.

    The system may take such bytes for written from then on: a later sync would succeed, and prove nothing of them.
    """
    with suppress(OSError):
        if os.fstat(file.fileno()).st_size > position:
            os.ftruncate(file.fileno(), position)
