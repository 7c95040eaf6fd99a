"""Blobs on their way out: large pieces read in the store's threads, the next one while the last is being used."""

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import NamedTuple

from storage.layout import Layout
from storage.store import BlobAltered, BlobMissing, StoreError
from storage.threads import Threads

PIECE_BYTES = 1 << 20
# Bytes that are in memory already, or none: Linux alone can promise not to wait for the disk.
_WITHOUT_WAITING = getattr(os, "RWF_NOWAIT", None)


class Span(NamedTuple):
    """Bytes `start` up to, not including, `end` of a blob, None: all; and its size, where it is known."""

    key: str
    start: int
    end: int | None
    size: int | None


async def pieces_of(threads: Threads, layout: Layout, span: Span) -> AsyncGenerator[bytes, None]:
    """Bytes of a blob, in pieces of at most 1 MiB.

    A range of one piece costs one job. Raises BlobMissing and BlobAltered before the first piece, and StoreError when
    fewer bytes lie there than asked for.
    """
    source = _Source(layout, span)
    job = threads.start(source.next)
    try:
        while True:
            piece, is_last = await asyncio.shield(job)
            if not is_last:
                job = threads.start(source.next)
            if piece:
                yield piece
            if is_last:
                return
    finally:
        # Not before the job in flight has ended: it would read from whatever is opened next under the same number.
        job.add_done_callback(lambda _: source.close())


def read_at_once(layout: Layout, key: str, start: int, end: int, *, size: int) -> bytes | None:
    """A range of a blob that is in memory already. None when the disk would have to be waited for, or on any doubt."""
    if _WITHOUT_WAITING is None:
        return None
    piece = bytearray(end - start)
    try:
        descriptor = layout.read(key)
        try:
            found = os.fstat(descriptor).st_size
            count = os.preadv(descriptor, [piece], start, _WITHOUT_WAITING)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return bytes(piece) if count == len(piece) and found == size else None


class OpenFile:
    """A blob as an open file."""

    __slots__ = ("descriptor", "size")

    def __init__(self, layout: Layout, key: str) -> None:
        self.descriptor = _opened(layout, key)
        self.size = os.fstat(self.descriptor).st_size

    def close(self) -> None:
        """Let go of it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class _Source:
    """A blob that opens itself for the first piece, and closes itself after the last. One job at a time."""

    def __init__(self, layout: Layout, span: Span) -> None:
        self._layout = layout
        self._span = span
        self._position = span.start
        self._end = span.start
        self._descriptor: int | None = None

    def next(self) -> tuple[bytes, bool]:
        """The next piece, and whether it is the last."""
        descriptor = self._open() if self._descriptor is None else self._descriptor
        wanted = min(PIECE_BYTES, self._end - self._position)
        piece = os.pread(descriptor, wanted, self._position)
        if len(piece) < wanted:
            raise StoreError(f"{self._span.key} ends {wanted - len(piece)} bytes early")
        self._position += wanted
        is_last = self._position == self._end
        if is_last:
            self.close()
        return piece, is_last

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        span = self._span
        self._descriptor = _opened(self._layout, span.key)
        size = os.fstat(self._descriptor).st_size
        if span.size not in {None, size}:
            raise BlobAltered(f"{span.key} has {size} bytes instead of {span.size}")
        self._end = size if span.end is None else span.end
        if not 0 <= self._position <= self._end <= size:
            raise StoreError(f"{span.key} has {size} bytes, asked were {self._position} to {self._end}")
        return self._descriptor


def _opened(layout: Layout, key: str) -> int:
    try:
        return layout.read(key)
    except FileNotFoundError as error:
        raise BlobMissing(key) from error
