"""Where bytes lie below the folder of a store, and how they get there for good.

leases/<key>     bytes that are being received, and the mark that their key is in flight: see `storage.leases`
incoming/<key>   bytes of partial blobs: see `storage.partials`
blobs/ab/<key>   finished bytes, which are those below `leases` by another name until that is taken away
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from storage.keys import branch_of, path_of, require_key

Sync = Callable[[int], None]

# What network folders and file systems of other systems say that give no file two names.
_UNLINKABLE = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


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
        self._leases = -1
        self._incoming = -1
        self._blobs = -1
        # Descriptors of the branches whose own names are known to survive power loss.
        self._branches: dict[str, int] = {}

    def open(self) -> None:
        """Make the folders that are not there yet, for this user alone."""
        missing = [path for path in (*reversed(self.folder.parents), self.folder) if not path.exists()]
        for path in (*missing, self.incoming, self.leases, self.blobs):
            path.mkdir(mode=0o700, exist_ok=True)
        # Also where all were there: another process may have made them a moment ago, and a blob must not outlast them.
        for path in (*(made.parent for made in missing), self.folder):
            self._sync_folder(path)
        self._leases, self._incoming, self._blobs = map(_descriptor_of, (self.leases, self.incoming, self.blobs))

    @property
    def identity(self) -> list[int]:
        """What tells the folder that is open from all others of this machine, whatever lies at its path by now."""
        found = os.fstat(self._leases)
        return [found.st_dev, found.st_ino]

    def close(self) -> None:
        """Let go of the folders."""
        for descriptor in (self._leases, self._incoming, self._blobs, *self._branches.values()):
            os.close(descriptor)

    def begin(self, key: str) -> int:
        """A descriptor to write the bytes of a fresh key to, which is in flight from now on, by whomever.

        Raises FileExistsError when it was before.
        """
        require_key(key)
        return os.open(key, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=self._leases)

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
        """Have the synced bytes of `begin` in their last place as well, so that they are there after power loss.

        Raises FileExistsError when there are others. Whatever else it raises, these may be there.
        """
        self.sync(self.place(key))

    def place(self, key: str) -> int:
        """The same, but for power loss; a descriptor of the folder that is to be synced for that."""
        branch = self._branch_of(key)
        try:
            os.link(key, key, src_dir_fd=self._leases, dst_dir_fd=branch)
        except OSError as error:
            if error.errno not in _UNLINKABLE:
                raise
            self._move_and_mark(key, branch)
        return branch

    def settle_partial(self, key: str) -> None:
        """Move the synced bytes of `resume` to their last place, so that they are there after power loss."""
        branch = self._branch_of(key)
        os.rename(key, key, src_dir_fd=self._incoming, dst_dir_fd=branch)
        self.sync(branch)

    def keep_settled(self, key: str, descriptor: int) -> None:
        """Make bytes that lie in their last place, and that they do, survive power loss, whoever moved them there."""
        self.sync(descriptor)
        self.sync(self._branch_of(key))

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

    def _move_and_mark(self, key: str, branch: int) -> None:
        """What a link would do. At no time are there bytes in their last place whose key is not marked."""
        if os.access(key, os.F_OK, dir_fd=branch):
            raise FileExistsError(f"there is a blob under {key}")
        os.rename(key, key, src_dir_fd=self._leases, dst_dir_fd=self._incoming)
        os.close(self.begin(key))
        os.rename(key, key, src_dir_fd=self._incoming, dst_dir_fd=branch)

    def _branch_of(self, key: str) -> int:
        """The folder of the key's last place, which survives power loss."""
        name = branch_of(key)
        if name not in self._branches:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self._blobs)
            # Also where it was there, for the reason in `open`.
            self.sync(self._blobs)
            found = _descriptor_of(name, self._blobs)
            if self._branches.setdefault(name, found) != found:  # another thread was here first
                os.close(found)
        return self._branches[name]

    def _sync_folder(self, path: Path) -> None:
        descriptor = _descriptor_of(path)
        try:
            self.sync(descriptor)
        finally:
            os.close(descriptor)


def _descriptor_of(folder: Path | str, below: int | None = None) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY, dir_fd=below)
