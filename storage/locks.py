"""Locks of the operating system on files and on parts of them. They end with the open file, also by `kill -9`."""

import fcntl
import io
import os
import struct

from storage.store import StoreBusy

# Linux alone has locks of ranges that belong to an open file.
_RANGE_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)


def lock_alone(file: io.FileIO) -> None:
    """Have nobody else hold a lock on a file. Raises StoreBusy when somebody does."""
    _lock(file, fcntl.LOCK_EX)


def lock_together(file: io.FileIO) -> None:
    """Have nobody lock a file alone. Raises StoreBusy when somebody does."""
    _lock(file, fcntl.LOCK_SH)


def is_locked_alone(file: io.FileIO) -> bool:
    """Whether somebody holds a lock on a file alone. Asking takes a lock, which is held until the file is closed."""
    try:
        lock_together(file)
    except StoreBusy:
        return True
    return False


def lock_range(file: io.FileIO, position: int, size: int) -> None:
    """Have nobody else lock these bytes, there or not. Raises StoreBusy. Does nothing where there are no such locks."""
    # A lock of the open file, not of the process: two requests of one process are strangers here, too.
    if _RANGE_LOCK is None:
        return
    wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, position, max(size, 1), 0)
    try:
        fcntl.fcntl(file, _RANGE_LOCK, wanted)
    except BlockingIOError as error:
        raise StoreBusy("somebody else is writing to the same place") from error


def _lock(file: io.FileIO, kind: int) -> None:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StoreBusy("somebody else is writing") from error
