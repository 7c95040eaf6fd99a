"""Pieces into a file, one after the other: written whole, summed up, and given to the disk early."""

import io
import os
from collections.abc import Sequence
from contextlib import nullcontext, suppress

from storage.digest import Pieces, Tally, counted

_HURRY_BYTES = 8 << 20
# The beginning of a file stays in the system's memory for who inspects it, or fetches a small one.
_KEPT_BYTES = 64 << 20
# On Linux this starts writing dirty pages without waiting for them; those that are written already leave the memory.
_FLUSHED: int | None = getattr(os, "POSIX_FADV_DONTNEED", None)


class Appending:
    """The bytes of a file from `position` on. Everything blocks and raises OSError.

    `tally` sums up what was there before and what comes; None where nobody knows what was before.
    """

    def __init__(self, file: io.FileIO, position: int = 0, tally: Tally | None = None) -> None:
        self.file = file
        self.position = position
        self.tally = tally
        self._hurried = position

    def append(self, pieces: Pieces) -> None:
        """Write the next bytes. Whether they were written whole or not, `position` is where the written ones end."""
        with counted(self.tally, pieces) if self.tally is not None else nullcontext():
            self._write(pieces)
        self._hurry()

    def _write(self, pieces: Pieces) -> None:
        left: Sequence[bytes | bytearray | memoryview] = pieces
        while left:
            written = os.pwritev(self.file.fileno(), left, self.position)
            self.position += written
            left = _after(written, left)

    def _hurry(self) -> None:
        """Have the disk begin with what has come so far, so that less is left for the sync at the end.

        What it was told of before is written by now, most likely. Unless it will be read for its sum, its memory is
        given back, which the next bytes then need: memory that is new costs more than all else that writing takes.
        """
        if _FLUSHED is None or self.position - self._hurried < _HURRY_BYTES:
            return
        start = self._hurried
        if self.tally is not None:
            start = min(start, max(_KEPT_BYTES, start - _HURRY_BYTES))
        with suppress(OSError):  # it is advice: where it is not taken, the sync does all
            os.posix_fadvise(self.file.fileno(), start, self.position - start, _FLUSHED)
        self._hurried = self.position


def _after(written: int, pieces: Sequence[bytes | bytearray | memoryview]) -> Sequence[memoryview]:
    if written == sum(map(len, pieces)):
        return ()
    # The disk is about to be full, a limit is near, or a signal came in between: the next write tells.
    return (memoryview(b"".join(pieces))[written:],)
