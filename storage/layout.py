"""Where bytes lie below the folder of a store, and how they get there for good.

incoming/<key>   bytes that are being received
blobs/ab/<key>   finished bytes
leases/<key>     marks of keys in flight, see `storage.leases`
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from storage.keys import branch_of, path_of

Sync = Callable[[int], None]


class Layout:
    """The places below one folder, found through descriptors. Everything here blocks and raises OSError.

    `sync` makes what lies behind a descriptor survive power loss: `os.fsync`, or a witness of it.
    """

    def __init__(self, folder: Path, sync: Sync) -> None:
        self.folder = folder
        self.leases = folder / "leases"
        self.incoming = folder / "incoming"
        self.blobs = folder / "blobs"
        self.sync = sync
        self._incoming = -1
        self._blobs = -1
        # The branches whose own names are known to survive power loss.
        self._lasting: set[str] = set()

    def open(self) -> None:
        """Make the folders that are not there yet, for this user alone."""
        missing = [path for path in (*reversed(self.folder.parents), self.folder) if not path.exists()]
        for path in (*missing, self.incoming, self.leases, self.blobs):
            path.mkdir(mode=0o700, exist_ok=True)
        # Also where all were there: another process may have made them a moment ago, and a blob must not outlast them.
        for path in (*(made.parent for made in missing), self.folder):
            self._sync_folder(path)
        self._incoming, self._blobs = _descriptor_of(self.incoming), _descriptor_of(self.blobs)

    def close(self) -> None:
        """Let go of the folders."""
        for descriptor in (self._incoming, self._blobs):
            os.close(descriptor)

    def begin(self, key: str) -> int:
        """A descriptor to write the bytes of a fresh key to. Raises FileExistsError when it is not fresh."""
        if os.access(path_of(key), os.F_OK, dir_fd=self._blobs):
            raise FileExistsError(f"there is a blob under {key}")
        return os.open(key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=self._incoming)

    def resume(self, key: str, *, is_new: bool) -> int:
        """A descriptor to the bytes of a key that are not complete, to go on with; new ones where that is allowed.

        Raises FileNotFoundError.
        """
        flags = os.O_RDWR | os.O_CREAT if is_new else os.O_RDWR
        return os.open(key, flags, 0o600, dir_fd=self._incoming)

    def is_incoming(self, key: str, descriptor: int) -> bool:
        """Whether a descriptor of `resume` is still what lies there: it may have been removed since."""
        try:
            return os.path.samestat(os.stat(key, dir_fd=self._incoming), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def keep(self, descriptor: int) -> None:
        """Make the bytes behind a descriptor of `resume`, and that there are any, survive power loss."""
        self.sync(descriptor)
        self.sync(self._incoming)

    def settle(self, key: str) -> None:
        """Move synced bytes from their first place to their last, so that they are there after power loss."""
        branch = branch_of(key)
        self._make_last(branch)
        os.rename(key, path_of(key), src_dir_fd=self._incoming, dst_dir_fd=self._blobs)
        self._sync_folder(branch, self._blobs)

    def keep_settled(self, key: str, descriptor: int) -> None:
        """Make bytes that lie in their last place, and that they do, survive power loss, whoever moved them there."""
        branch = branch_of(key)
        self.sync(descriptor)
        self._make_last(branch)
        self._sync_folder(branch, self._blobs)

    def read(self, key: str) -> int:
        """A descriptor to read the complete bytes of a key from. Raises FileNotFoundError."""
        return os.open(path_of(key), os.O_RDONLY, dir_fd=self._blobs)

    def size_of(self, key: str) -> int | None:
        """How many bytes a key has that are complete; None when there are none."""
        try:
            return os.stat(path_of(key), dir_fd=self._blobs).st_size
        except FileNotFoundError:
            return None

    def discard(self, key: str) -> None:
        """Remove the bytes of a key that are not complete, if there are any."""
        with suppress(FileNotFoundError):
            os.unlink(key, dir_fd=self._incoming)

    def remove(self, key: str) -> None:
        """Remove the bytes of a key, complete or not, if there are any."""
        self.discard(key)
        with suppress(FileNotFoundError):
            os.unlink(path_of(key), dir_fd=self._blobs)

    def _make_last(self, branch: str) -> None:
        if branch not in self._lasting:
            with suppress(FileExistsError):
                os.mkdir(branch, 0o700, dir_fd=self._blobs)
            # Also where it was there, for the reason in `open`.
            self.sync(self._blobs)
            self._lasting.add(branch)

    def _sync_folder(self, path: Path | str, below: int | None = None) -> None:
        descriptor = _descriptor_of(path, below)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)


def _descriptor_of(folder: Path | str, below: int | None = None) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=below)
