"""The sums of partial blobs between requests, and what tells whether they are still those of the bytes."""

import os
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from storage.digest import Tally

_REMEMBERED = 1000


class _State(NamedTuple):
    """What tells whether a file is as it was left."""

    device: int
    inode: int
    size: int
    changed_ns: int


class Sums:
    """The sums of partial blobs whose bytes all came through here, in order, and are synced; of so many at most."""

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

    def knows(self, key: str, descriptor: int) -> bool:
        """Whether the sum of what lies behind a descriptor is remembered, and nobody else changed it."""
        found = self._tallies.get(key)
        return found is not None and found[0] == _state(descriptor)

    def forget(self, key: str) -> None:
        """Keep no sum of a key."""
        with self._lock:
            self._tallies.pop(key, None)

    def has(self, key: str, size: int) -> bool:
        """Whether the sum of so many bytes is remembered."""
        found = self._tallies.get(key)
        return found is not None and found[1].size == size


def _state(descriptor: int) -> _State:
    found = os.fstat(descriptor)
    return _State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
