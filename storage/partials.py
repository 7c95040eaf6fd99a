"""Partial blobs: bytes that come in several requests, perhaps to several processes. The half that blocks.

They lie in `incoming` like all that is on its way, without a lease. Whoever writes holds a lock of the operating
system, which ends with the process: one who extends alone, those who place parts together. What is to be known of a
file is asked again once it is locked, since it may have been finished or removed between opening and locking it.
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from storage.appending import Appending
from storage.digest import Tally
from storage.growths import Ground, Growth, cut_back
from storage.layout import Layout
from storage.locks import is_locked_alone, lock_alone, lock_range, lock_together
from storage.room import Room
from storage.store import BlobMissing, StoreBusy, Stored, WrongPosition
from storage.sums import Sums

_READ_BYTES = 1 << 20
_COPIED_BYTES = 64 << 20


class Partials:
    """The partial blobs of one store. Everything blocks, and raises OSError and StoreError."""

    def __init__(self, layout: Layout, room: Room) -> None:
        self._layout = layout
        self._room = room
        self.sums = Sums()

    def extend(self, key: str, position: int, told: int) -> Growth:
        """Open the bytes where they end, for nobody else."""
        self._room.require()
        if position == 0:
            self._refuse_finished(key)
        try:
            file = self._open(key, is_new=position == 0)
        except FileNotFoundError:
            raise WrongPosition(key, self._layout.size_of(key) or 0) from None
        with _closed_on_failure(file):
            lock_alone(file)
            self._require_there(key, file)
            size = os.fstat(file.fileno()).st_size
            if size and not self.sums.knows(key, file.fileno()):
                # Left by a process that died before it synced them, perhaps: this position is about to be told.
                self._sync(file, key, told)
            if size != position:
                raise WrongPosition(key, size)
            tally = self.sums.take(key, file.fileno()) if position else Tally()
            return Growth(self._ground, key, Appending(file, position, tally), end=None)

    def place(self, key: str, position: int, size: int) -> Growth:
        """Open the place of a part."""
        self._room.require()
        self._refuse_finished(key)
        file = self._open(key, is_new=True)
        with _closed_on_failure(file):
            lock_together(file)
            lock_range(file, position, size)
            self._require_there(key, file)
            self.sums.forget(key)
            return Growth(self._ground, key, Appending(file, position), end=position + size)

    def reach(self, key: str, told: int) -> int:
        """Where the bytes end, which are durable then."""
        try:
            with self._open(key, is_new=False) as file:
                size = os.fstat(file.fileno()).st_size
                self._sync(file, key, told)
                return size
        except FileNotFoundError:
            return self._layout.size_of(key) or 0

    def is_extended(self, key: str) -> bool:
        """Whether somebody has the bytes open to extend them, or to finish them."""
        try:
            with self._open(key, is_new=False) as file:
                return is_locked_alone(file)
        except FileNotFoundError:
            return False

    def join(self, key: str, keys: Sequence[str]) -> int:
        """Copy partial blobs into one, from its beginning."""
        self._room.require()
        self._refuse_finished(key)
        with self._open(key, is_new=True) as target:
            lock_alone(target)
            self._require_there(key, target)
            self.sums.forget(key)
            os.ftruncate(target.fileno(), 0)
            for source_key in keys:
                try:
                    with self._open(source_key, is_new=False) as source:
                        _copy(source, target)
                except FileNotFoundError as error:
                    raise BlobMissing(source_key) from error
            self._sync(target, key, 0)
            return os.fstat(target.fileno()).st_size

    def first_bytes(self, key: str, count: int) -> bytes:
        """The beginning of the bytes, finished or not."""
        with self._any(key) as file:
            return os.pread(file.fileno(), count, 0)

    def finish(self, key: str, size: int) -> Stored:
        """Make a blob of the bytes; if that was done already, sum them up again."""
        try:
            file = self._open(key, is_new=size == 0 and self._layout.size_of(key) is None)
        except FileNotFoundError:
            return self._finished(key, size)
        with file:
            lock_alone(file)
            if not self._layout.is_incoming(key, file.fileno()) or self._layout.size_of(key) is not None:
                return self._finished(key, size)
            reach = os.fstat(file.fileno()).st_size
            if reach != size:
                raise WrongPosition(key, reach)
            known = self.sums.take(key, file.fileno())
            tally = known if known is not None and known.size == size else _summed(file)
            self._layout.keep(file.fileno())
            try:
                self._layout.settle_partial(key)
            except FileNotFoundError:
                # Removed just now; or finished by another, where locks mean nothing between those who share the folder.
                return self._finished(key, size)
            return tally.stored(key)

    @property
    def _ground(self) -> Ground:
        return Ground(self._layout, self._room, self.sums)

    def _sync(self, file: io.FileIO, key: str, told: int) -> None:
        """Make the bytes durable; where that fails, nobody is told later of more than was told before."""
        try:
            self._layout.keep(file.fileno())
        except OSError:
            # Who writes just now finds out as well, and sees to it.
            with suppress(StoreBusy):
                lock_alone(file)
                if self._layout.is_incoming(key, file.fileno()):
                    cut_back(file, told)
            raise

    def _finished(self, key: str, size: int) -> Stored:
        try:
            file = io.FileIO(self._layout.read(key))
        except FileNotFoundError:
            raise WrongPosition(key, 0) from None
        with file:
            found = os.fstat(file.fileno()).st_size
            if found != size:
                raise WrongPosition(key, found)
            # Whoever moved it here may not be through with that, or may have failed at it.
            self._layout.keep_settled(key, file.fileno())
            return _summed(file).stored(key)

    def _any(self, key: str) -> io.FileIO:
        try:
            return self._open(key, is_new=False)
        except FileNotFoundError:
            try:
                return io.FileIO(self._layout.read(key))
            except FileNotFoundError as error:
                raise BlobMissing(key) from error

    def _open(self, key: str, *, is_new: bool) -> io.FileIO:
        return io.FileIO(self._layout.resume(key, is_new=is_new), "r+")

    def _refuse_finished(self, key: str) -> None:
        size = self._layout.size_of(key)
        if size is not None:
            raise WrongPosition(key, size)

    def _require_there(self, key: str, file: io.FileIO) -> None:
        """Raise unless a locked file is what lies there, and is not finished yet."""
        if not self._layout.is_incoming(key, file.fileno()):
            raise StoreBusy(f"{key} was moved or removed just now")
        if self._layout.size_of(key) is not None:
            # Finished before this was opened: then it was new, and would some day take the place of the blob.
            self._layout.discard(key)
            self._refuse_finished(key)


@contextmanager
def _closed_on_failure(file: io.FileIO) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.close()
        raise


def _summed(file: io.FileIO) -> Tally:
    tally, position = Tally(), 0
    while piece := os.pread(file.fileno(), _READ_BYTES, position):
        tally.add(piece)
        position += len(piece)
    return tally


def _copy(source: io.FileIO, target: io.FileIO) -> None:
    """Append one file to another, in the kernel where it can be done there."""
    os.lseek(target.fileno(), 0, os.SEEK_END)
    try:
        while os.copy_file_range(source.fileno(), target.fileno(), _COPIED_BYTES):
            pass
    except OSError:
        # Not between these two: what was not copied yet is copied here; if it is the disk, this fails as well.
        appending = Appending(target, os.lseek(target.fileno(), 0, os.SEEK_CUR))
        while piece := source.read(_READ_BYTES):
            appending.append([piece])
        os.lseek(target.fileno(), appending.position, os.SEEK_SET)
