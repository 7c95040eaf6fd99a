"""What has come for a blob and no job has taken yet: large pieces as they are, small ones copied together."""

import time
from weakref import WeakSet

# Pieces smaller than this are copied together: kept apart, single bytes would take fifty times their size.
_SMALL_BYTES = 16 << 10
# What is gathered before a job takes it. Large is fast; when many gather at once, each gathers less.
_MOST_BYTES = 4 << 20
_LEAST_BYTES = 64 << 10
_TOGETHER_BYTES = 16 << 20
# What comes slowly is written after so long, so that little of it is lost with the process.
_LONGEST_SECONDS = 2.0


class Gathering:
    """The pieces of one writer. `crowd` holds all that gather in this store."""

    def __init__(self, crowd: "WeakSet[Gathering]") -> None:
        self._crowd = crowd
        self._pieces: list[bytes | bytearray] = []
        self._size = 0
        self._began_at = 0.0
        crowd.add(self)

    @property
    def is_full(self) -> bool:
        """Whether a job is worth its while."""
        if self._size < _LEAST_BYTES:
            return False
        share = min(_MOST_BYTES, _TOGETHER_BYTES // max(1, len(self._crowd)))
        return self._size >= share or time.monotonic() - self._began_at >= _LONGEST_SECONDS

    def add(self, data: bytes) -> None:
        """Gather the next bytes."""
        if not self._size:
            self._began_at = time.monotonic()
        self._size += len(data)
        last = self._pieces[-1] if self._pieces else None
        if len(data) >= _SMALL_BYTES:
            self._pieces.append(data)
        elif isinstance(last, bytearray) and len(last) < _SMALL_BYTES:
            last += data
        else:
            self._pieces.append(bytearray(data))

    def take(self) -> list[bytes | bytearray]:
        """All that was gathered, for a job; the gathering begins anew."""
        pieces, self._pieces, self._size = self._pieces, [], 0
        return pieces

    def end(self) -> None:
        """Gather no more: what is left is dropped, and the others may gather more."""
        self.take()
        self._crowd.discard(self)
