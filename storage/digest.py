"""What is counted while bytes pass: their number, SHA-256 and CRC-32."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

# The CRC-32 of zlib at ten times its speed; without it, this sum would cost half as much as the SHA-256.
from zlib_ng import zlib_ng

from storage.store import Stored

Pieces = Sequence[bytes | bytearray]

# Fewer bytes are summed up before another thread has begun.
_WORTH_A_THREAD_BYTES = 256 << 10
# As many as a store has to write: no sum waits for others.
_beside = ThreadPoolExecutor(8, thread_name_prefix="sums")


class Tally:
    """Sums of the bytes so far. Blocking; the global lock is free meanwhile if pieces are larger than a few KiB."""

    __slots__ = ("_crc32", "_sha256", "_size")

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._crc32 = 0
        self._size = 0

    @property
    def size(self) -> int:
        """The bytes so far."""
        return self._size

    def add(self, piece: bytes | bytearray) -> None:
        """Count the next bytes."""
        self._sha256.update(piece)
        self._crc32 = zlib_ng.crc32(piece, self._crc32)
        self._size += len(piece)

    def add_all(self, pieces: Pieces) -> None:
        """Count the next bytes, which lie in pieces."""
        for piece in pieces:
            self.add(piece)

    def stored(self, key: str) -> Stored:
        """The sums, as those of the blob under this key."""
        return Stored(key, self._size, self._sha256.hexdigest(), self._crc32)


@contextmanager
def counted(tally: Tally, pieces: Pieces) -> Iterator[None]:
    """Count the next bytes while the block does something else with them that blocks, such as writing.

    Many are counted by a thread beside, since one core is not enough for both. When the block fails, nobody knows
    whether they are counted.
    """
    if sum(map(len, pieces)) < _WORTH_A_THREAD_BYTES:
        yield
        tally.add_all(pieces)
    else:
        counting = _beside.submit(tally.add_all, pieces)
        try:
            yield
        finally:
            counting.result()
