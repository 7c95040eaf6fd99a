"""How much room is left on the disk that a folder lies on."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from storage.store import StoreFull

_FRESH_SECONDS = 1.0


class Disk(NamedTuple):
    """A disk, in bytes: how large it is, and how much of it is free."""

    size: int
    free: int


class Room:
    """Keeps `floor_bytes` free for everything else on the disk. What was measured counts for a second."""

    def __init__(self, folder: Path, floor_bytes: int) -> None:
        self._folder = folder
        self._floor_bytes = floor_bytes
        self._free_bytes = 0
        self._measured_at = -_FRESH_SECONDS

    @property
    def is_known(self) -> bool:
        """Whether `require` would answer from what was measured, without blocking."""
        return time.monotonic() - self._measured_at < _FRESH_SECONDS

    def require(self) -> None:
        """Do nothing while the floor is free. Raises StoreFull, and OSError when measuring fails. May block."""
        if not self.is_known:
            self.measure()
        if self._free_bytes < self._floor_bytes:
            raise StoreFull(f"{self._free_bytes} bytes are free, {self._floor_bytes} have to stay so")

    def measure(self) -> Disk:
        """Ask the disk. Raises OSError. Blocking."""
        usage = shutil.disk_usage(self._folder)
        self._free_bytes = usage.free
        self._measured_at = time.monotonic()
        return Disk(usage.total, usage.free)
