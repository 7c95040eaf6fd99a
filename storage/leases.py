"""Leases: files that say which keys are in flight, and whose age says whether anybody still cares.

They are the bytes that come in under these keys: see `storage.layout`, which begins them. A lease is renewed for as
long as something in this process refers to what holds it (a writer, then its `Stored`). So it outlasts slow senders and
long requests, and runs out by itself when the process dies or forgets the key.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from weakref import WeakValueDictionary

from storage.keys import is_key


class Leases:
    """The leases of one store, in one folder. All that touches the disk blocks and raises OSError."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.seconds = seconds
        self._folder = folder
        self._descriptor = -1
        self._holders: WeakValueDictionary[str, object] = WeakValueDictionary()

    def open(self) -> None:
        """Find the folder, which is there."""
        self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Let go of the folder. Leases are left to run out."""
        os.close(self._descriptor)

    def hold(self, key: str, holder: object) -> None:
        """Have the key's lease renewed for as long as the holder lives."""
        self._holders[key] = holder

    def forget(self, key: str) -> None:
        """Have the key's lease renewed no longer."""
        self._holders.pop(key, None)

    def holds(self, key: str) -> bool:
        """Whether the key's lease is being renewed."""
        return key in self._holders

    def held(self) -> list[str]:
        """The keys whose leases are to be renewed."""
        return list(self._holders)

    def renew(self, keys: Iterable[str]) -> None:
        """Make these leases young again. Keys without one (nothing of theirs is on the disk yet) are passed over."""
        for key in keys:
            with suppress(FileNotFoundError):
                os.utime(key, dir_fd=self._descriptor)

    def end(self, key: str) -> None:
        """Remove the mark, if there is one."""
        with suppress(FileNotFoundError):
            os.unlink(key, dir_fd=self._descriptor)

    def end_all(self, keys: Iterable[str]) -> None:
        """Remove these marks, as far as that can be done. Raises the first failure."""
        failures = []
        for key in keys:
            try:
                self.end(key)
            except OSError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]

    def expired(self, held: Iterable[str]) -> list[str]:
        """Keys whose lease is older than it may get, except those held here."""
        youngest = self.now() - self.seconds
        held = set(held)
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                # Another process may end its lease between the listing and the look.
                with suppress(FileNotFoundError):
                    if is_key(entry.name) and entry.name not in held and entry.stat().st_mtime < youngest:
                        found.append(entry.name)
        return found

    def marked(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that are marked, expired or not."""
        return {key for key in keys if os.access(key, os.F_OK, dir_fd=self._descriptor)}

    def now(self) -> float:
        """The time of the clock that dates the leases, which on a network folder is not the one of this machine."""
        os.utime(self._folder)
        return self._folder.stat().st_mtime
