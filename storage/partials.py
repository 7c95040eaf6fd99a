"""Partial blobs: bytes that come in several requests, perhaps to several processes. The half that blocks.

They lie in `incoming` like all that is on its way, without a lease. Whoever writes holds a lock of the operating
system, which ends with the process: one who extends alone, those who place parts together.
"""

import fcntl
import io
import os
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import NamedTuple

from storage.appending import Appending, Pieces
from storage.digest import Tally
from storage.layout import Layout
from storage.room import Room
from storage.store import BlobMissing, StoreBusy, Stored, StoreError, WrongPosition

_REMEMBERED = 1000
# Linux alone has locks of ranges that belong to an open file.
_RANGE_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
_READ_BYTES = 1 << 20
_COPIED_BYTES = 64 << 20


class _State(NamedTuple):
    """What tells whether a file is as it was left."""

    device: int
    inode: int
    size: int
    changed_ns: int


class Sums:
    """The sums of partial blobs whose bytes all came through here, in order; of so many at most."""

    def __init__(self) -> None:
        self._tallies: OrderedDict[str, tuple[_State, Tally]] = OrderedDict()
        self._lock = Lock()

    def remember(self, key: str, descriptor: int, tally: Tally) -> None:
        """Keep the sum of what lies behind a descriptor now."""
        with self._lock:
            self._tallies[key] = _state(descriptor), tally
            while len(self._tallies) > _REMEMBERED:
                self._tallies.popitem(last=False)

    def take(self, key: str, descriptor: int) -> Tally | None:
        """The sum of what lies behind a descriptor, unless somebody else changed it; and forget it."""
        with self._lock:
            state, tally = self._tallies.pop(key, (None, None))
        return tally if state == _state(descriptor) else None

    def has(self, key: str, size: int) -> bool:
        """Whether the sum of so many bytes is remembered."""
        found = self._tallies.get(key)
        return found is not None and found[1].size == size


class Growth:
    """A partial blob that one writer has open. Methods raise OSError and StoreError, and wait for each other."""

    def __init__(self, partials: "Partials", key: str, appending: Appending, end: int | None) -> None:
        self._partials = partials
        self._key = key
        self._appending = appending
        self._end = end
        self._lock = Lock()
        self._has_failed = False

    def append(self, pieces: Pieces) -> None:
        """Write the next bytes. Once that has failed it does so ever after: a gap would look like bytes."""
        with self._lock:
            if self._has_failed:
                raise StoreError("an earlier write failed")
            try:
                self._partials.room.require()
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
            appending = self._appending
            if keep is not None and keep < appending.position:
                os.ftruncate(file.fileno(), keep)
                appending.position, appending.tally = keep, None
            self._partials.layout.keep(file.fileno())
            tally = appending.tally
            if tally is not None and tally.size == appending.position:
                self._partials.sums.remember(self._key, file.fileno(), tally)
            return appending.position

    def _require_place(self, pieces: Pieces) -> None:
        if self._end is not None and self._appending.position + sum(map(len, pieces)) > self._end:
            raise StoreError(f"the part ends at {self._end}")


class Partials:
    """The partial blobs of one store. Everything blocks, and raises OSError and StoreError."""

    def __init__(self, layout: Layout, room: Room) -> None:
        self.layout = layout
        self.room = room
        self.sums = Sums()

    def extend(self, key: str, position: int) -> Growth:
        """Open the bytes where they end, for nobody else."""
        self.room.require()
        if position == 0:
            self._refuse_finished(key)
        try:
            file = self._open(key, is_new=position == 0)
        except FileNotFoundError:
            raise WrongPosition(key, self._finished_size(key) or 0) from None
        with _closed_on_failure(file):
            _lock(file, fcntl.LOCK_EX)
            self._require_there(key, file)
            size = os.fstat(file.fileno()).st_size
            if size != position:
                raise WrongPosition(key, size)
            known = self.sums.take(key, file.fileno())
            tally = Tally() if position == 0 else known
            return Growth(self, key, Appending(file, position, tally), end=None)

    def place(self, key: str, position: int, size: int) -> Growth:
        """Open the place of a part."""
        self.room.require()
        self._refuse_finished(key)
        file = self._open(key, is_new=True)
        with _closed_on_failure(file):
            _lock(file, fcntl.LOCK_SH)
            _lock_range(file, position, size)
            self._require_there(key, file)
            self.sums.take(key, file.fileno())
            return Growth(self, key, Appending(file, position), end=position + size)

    def reach(self, key: str) -> int:
        """Where the bytes end, which are durable then."""
        try:
            with self._open(key, is_new=False) as file:
                size = os.fstat(file.fileno()).st_size
                self.layout.keep(file.fileno())
                return size
        except FileNotFoundError:
            return self._finished_size(key) or 0

    def join(self, key: str, keys: Sequence[str]) -> int:
        """Copy partial blobs into one, from its beginning."""
        self.room.require()
        self._refuse_finished(key)
        with self._open(key, is_new=True) as target:
            _lock(target, fcntl.LOCK_EX)
            os.ftruncate(target.fileno(), 0)
            for source_key in keys:
                try:
                    with self._open(source_key, is_new=False) as source:
                        _copy(source, target)
                except FileNotFoundError as error:
                    raise BlobMissing(source_key) from error
            self.layout.keep(target.fileno())
            return os.fstat(target.fileno()).st_size

    def first_bytes(self, key: str, count: int) -> bytes:
        """The beginning of the bytes, finished or not."""
        with self._any(key) as file:
            return os.pread(file.fileno(), count, 0)

    def finish(self, key: str, size: int) -> Stored:
        """Make a blob of the bytes; if that was done already, sum them up again."""
        try:
            file = self._open(key, is_new=size == 0 and self._finished_size(key) is None)
        except FileNotFoundError:
            return self._finished(key, size)
        with file:
            _lock(file, fcntl.LOCK_EX)
            if not self.layout.is_incoming(key, file.fileno()):
                return self._finished(key, size)
            reach = os.fstat(file.fileno()).st_size
            if reach != size:
                raise WrongPosition(key, reach)
            known = self.sums.take(key, file.fileno())
            tally = known if known is not None and known.size == size else _summed(file)
            self.layout.keep(file.fileno())
            self.layout.settle(key)
            return tally.stored(key)

    def _finished(self, key: str, size: int) -> Stored:
        found = self._finished_size(key)
        if found != size:
            raise WrongPosition(key, found or 0)
        with self._any(key) as file:
            return _summed(file).stored(key)

    def _any(self, key: str) -> io.FileIO:
        try:
            return self._open(key, is_new=False)
        except FileNotFoundError:
            try:
                return io.FileIO(self.layout.read(key))
            except FileNotFoundError as error:
                raise BlobMissing(key) from error

    def _open(self, key: str, *, is_new: bool) -> io.FileIO:
        return io.FileIO(self.layout.resume(key, is_new=is_new), "r+")

    def _finished_size(self, key: str) -> int | None:
        try:
            with io.FileIO(self.layout.read(key)) as file:
                return os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None

    def _refuse_finished(self, key: str) -> None:
        size = self._finished_size(key)
        if size is not None:
            raise WrongPosition(key, size)

    def _require_there(self, key: str, file: io.FileIO) -> None:
        # It may have been finished or removed between opening and locking it.
        if not self.layout.is_incoming(key, file.fileno()):
            raise StoreBusy(f"{key} was moved or removed just now")


def _state(descriptor: int) -> _State:
    found = os.fstat(descriptor)
    return _State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@contextmanager
def _closed_on_failure(file: io.FileIO) -> Iterator[None]:
    try:
        yield
    except BaseException:
        file.close()
        raise


def _lock(file: io.FileIO, kind: int) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreBusy("somebody else is writing") from error


def _lock_range(file: io.FileIO, position: int, size: int) -> None:
    # A lock of the open file, not of the process: two requests of one process are strangers here, too.
    if _RANGE_LOCK is None:
        return
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, position, max(size, 1), 0)
    try:
        fcntl.fcntl(file, _RANGE_LOCK, wanted)
    except BlockingIOError as error:
        raise StoreBusy("somebody else is writing to the same place") from error


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
        while piece := source.read(_READ_BYTES):
            target.write(piece)
