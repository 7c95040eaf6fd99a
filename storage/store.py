"""The interface of a blob store: what every implementation guarantees, and what callers must do in return.

A store keeps bytes under random keys; it knows no user and no table. Bytes come in under a lease: from `create` until
`release`, `delete` or `abandon` the key counts as in flight, so that another process that cleans up leaves it alone.
A lease lasts while something in its process refers to the writer or, later, to the `Stored` that `finish` gave; after
that, or when the process dies, it runs out.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


class StoreError(Exception):
    """The store could not do what was asked. The cause is chained."""


class StoreFull(StoreError):  # noqa: N818 - a fact, named as such
    """No room is left for the bytes."""


class BlobMissing(StoreError):  # noqa: N818
    """Nothing lies under this key."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Stored:
    """What was counted while the bytes passed: size in bytes, SHA-256 in hex, CRC-32 as an unsigned integer."""

    key: str
    size: int
    digest: str
    crc32: int


class BlobWriter(Protocol):
    """One blob on its way in, ended by `finish` or `abandon`.

    A method that fails or is cancelled abandons the blob by itself; after that only `abandon` may be called.
    """

    @property
    def size(self) -> int:
        """Bytes accepted so far."""
        ...

    async def write(self, data: bytes) -> None:
        """Take the next bytes, in order; waits while the store is busy. Raises StoreFull or StoreError."""
        ...

    async def finish(self) -> Stored:
        """Make the bytes durable (they survive power loss) and visible under the key. The lease goes on."""
        ...

    async def abandon(self) -> None:
        """Remove whatever has been stored and end the lease; waits until that is done.

        May be called at any time. Does nothing the second time, nor once the blob is finished and released.
        """
        ...


class BlobStore(Protocol):
    """Bytes under keys. Whatever takes a key raises ValueError for anything else."""

    @property
    def name(self) -> str:
        """The name that blob rows record to say where their bytes lie, such as `disk`."""
        ...

    async def create(self, key: str) -> BlobWriter:
        """Begin a blob under a fresh key from `storage.keys.new_key`, and its lease. Raises StoreFull or StoreError.

        Bytes are never written over: under a key in use this, `write` or `finish` raises StoreError.
        """
        ...

    async def release(self, key: str) -> None:
        """End the lease of a finished blob: a committed row points at it now. Idempotent."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Bytes `start` up to, not including, `end` (None: all), in pieces of at most 1 MiB.

        Raises BlobMissing before the first piece, and StoreError when fewer bytes lie there than asked for. Whoever
        stops early closes the iterator (`aclose`).
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove the bytes, finished or not, and the lease. Idempotent."""
        ...

    async def expired_leases(self) -> list[str]:
        """Keys whose lease is over without `release`: a process died. The caller knows whether a row points there."""
        ...

    async def check(self) -> None:
        """Prove that bytes can be written and that room is left. Raises StoreFull or StoreError."""
        ...


class LocalFile(Protocol):
    """An open blob that is a file of this machine. Whoever opened it closes it."""

    @property
    def descriptor(self) -> int:
        """What the operating system reads from."""
        ...

    def close(self) -> None:
        """Let go of it. Idempotent."""
        ...


@runtime_checkable
class LocalFiles(Protocol):
    """What a store can do besides, if its blobs are files of this machine: leave the copying to the kernel."""

    def read_at_once(self, key: str, start: int, end: int) -> bytes | None:
        """A small range without waiting for the disk; None if it would have to be waited for, or cannot be had."""
        ...

    async def open_file(self, key: str) -> LocalFile:
        """The blob as a file. Raises BlobMissing, or StoreError."""
        ...
