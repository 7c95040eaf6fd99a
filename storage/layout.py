"""Where bytes lie below the folder of a store, and how they get there for good.

incoming/<key>       bytes that are being received
blobs/ab/cd/<key>    finished bytes
leases/<key>         marks of keys in flight, see `storage.leases`
"""

import os
from collections.abc import Callable
from pathlib import Path

from storage.keys import path_below

Sync = Callable[[int], None]


def private(path: str, flags: int) -> int:
    """Open a file that, if it is made now, is for this user alone: an `opener` of Python's."""
    return os.open(path, flags, 0o600)


class Layout:
    """The places below one folder. Everything but the places themselves blocks and raises OSError.

    `sync` makes what lies behind a descriptor survive power loss: `os.fsync`, or a witness of it.
    """

    def __init__(self, folder: Path, sync: Sync) -> None:
        self.folder = folder
        self.leases = folder / "leases"
        self.sync = sync
        self._incoming = folder / "incoming"
        self._blobs = folder / "blobs"
        # Folders of blobs whose own entries in the folders above are known to survive power loss.
        self._lasting: set[Path] = set()

    def open(self) -> None:
        """Make the folders that are not there yet, for this user alone."""
        places = (self._incoming, self._blobs, self.leases)
        missing = [path for path in (*reversed(self.folder.parents), self.folder, *places) if not path.exists()]
        for path in missing:
            path.mkdir(mode=0o700, exist_ok=True)
        for path in {self.folder, *(made.parent for made in missing)}:
            self._sync_folder(path)

    def incoming(self, key: str) -> Path:
        """Where the bytes of a key lie while they are received."""
        return self._incoming / key

    def blob(self, key: str) -> Path:
        """Where the bytes of a key lie when they are complete. Raises ValueError for anything but a key."""
        return path_below(self._blobs, key)

    def settle(self, key: str) -> None:
        """Move synced bytes from their first place to their last, so that they are there after power loss."""
        blob = self.blob(key)
        leaf, branch = blob.parent, blob.parent.parent
        if leaf not in self._lasting:
            branch.mkdir(mode=0o700, exist_ok=True)
            leaf.mkdir(mode=0o700, exist_ok=True)
        self.incoming(key).rename(blob)
        self._sync_folder(leaf)
        # A folder found here may be another process's, made a moment ago and not synced: only own syncs count.
        if leaf not in self._lasting:
            self._sync_folder(branch)
            self._sync_folder(self._blobs)
            self._lasting.add(leaf)

    def remove(self, key: str) -> None:
        """Remove the bytes of a key, complete or not, if there are any."""
        self.incoming(key).unlink(missing_ok=True)
        self.blob(key).unlink(missing_ok=True)

    def _sync_folder(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)
