"""The interface of a blob store: what every implementation guarantees, and what callers must do in return.

A store keeps bytes under random keys; it knows no user and no table. Bytes come in under a lease: from `create` until
`release`, `delete` or `abandon` the key counts as in flight, so that another process that cleans up leaves it alone.
A lease lasts while something in its process refers to the writer or, later, to the `Stored` that `finish` gave; after
that, or when the process dies, it runs out.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

Pace: TypeAlias = Callable[[int], Awaitable[None]]
"""Told of so many bytes that were read just now; waits for as long as nothing more is to be read."""


class StoreError(Exception):
    """The store could not do what was asked. The cause is chained."""


class StoreFull(StoreError):  # noqa: N818 - a fact, named as such
    """No room is left for the bytes."""


class BlobMissing(StoreError):  # noqa: N818
    """Nothing lies under this key."""


class BlobUnreadable(StoreError):  # noqa: N818
    """The bytes under this key are there, and the disk cannot read them."""


class BlobAltered(StoreError):  # noqa: N818
    """Under this key lie more or fewer bytes than it was said to have."""


class StoreBusy(StoreError):  # noqa: N818
    """Somebody else is writing under this key."""


class WrongPosition(StoreError):  # noqa: N818
    """The bytes under this key do not end where they were said to, but at `reach`."""

    def __init__(self, key: str, reach: int) -> None:
        super().__init__(f"{key} reaches up to {reach}")
        self.reach = reach


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
        """Have the lease of a finished blob end, soon: a committed row points at it now. Idempotent.

        One that cannot be ended is logged, and runs out.
        """
        ...

    def read(
        self, key: str, start: int = 0, end: int | None = None, *, size: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Bytes `start` up to, not including, `end` (None: all), in pieces of at most 1 MiB.

        Raises BlobMissing, or BlobAltered unless the whole blob has `size` bytes, before the first piece, and
        StoreError when fewer bytes lie there than asked for. Whoever stops early closes the iterator (`aclose`).
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

    @property
    def size(self) -> int:
        """How many bytes it had when it was opened."""
        ...

    def close(self) -> None:
        """Let go of it. Idempotent."""
        ...


@runtime_checkable
class LocalFiles(Protocol):
    """What a store can do besides, if its blobs are files of this machine: leave the copying to the kernel."""

    def read_at_once(self, key: str, start: int, end: int, *, size: int) -> bytes | None:
        """A small range of a blob of `size` bytes, without waiting for the disk; None if it cannot be had so."""
        ...

    async def open_file(self, key: str) -> LocalFile:
        """The blob as a file. Raises BlobMissing, or StoreError."""
        ...


class PartialWriter(Protocol):
    """The next bytes of a partial blob, ended by `close`, whatever happened before."""

    @property
    def position(self) -> int:
        """Where the next byte goes."""
        ...

    async def write(self, data: bytes) -> None:
        """Take the next bytes, in order; waits while the store is busy. Raises StoreFull or StoreError."""
        ...

    async def close(self, keep: int | None = None) -> int:
        """Make what has come durable and let go of the key; up to which position everything has come.

        That is less than `position` where the store could not take all. What lies beyond `keep`, when it is given, is
        removed first. May be called again, and after a failed or cancelled `write`. Raises StoreError, and then
        nothing that this writer wrote has come, nor ever will have.
        """
        ...


@runtime_checkable
class Partials(Protocol):
    """What a store can do besides: keep bytes that come in several requests until they are a blob.

    Partial blobs have no lease. The caller has a row that names the key before the first byte, and calls `delete` once
    it wants them no more, also while somebody writes: nothing that was deleted comes back to life. No writer open, a
    partial blob costs nothing but its bytes. Methods that take a key raise ValueError for anything else.

    `told` is how far the caller has said that the bytes have come. Where a sync fails, what lies beyond that is
    removed rather than ever said to have come: a later sync that succeeds proves nothing of it.
    """

    async def extend(self, key: str, position: int, told: int = 0) -> PartialWriter:
        """Go on where the bytes end, alone: at 0 to begin.

        Raises StoreBusy while anybody else writes, in whatever process, WrongPosition, StoreFull and StoreError.
        """
        ...

    async def place(self, key: str, position: int, size: int) -> PartialWriter:
        """Write a part to its place, beside others who do the same, and no further than its `size`.

        Raises StoreBusy while somebody else writes to the same place or extends the blob, StoreFull and StoreError.
        """
        ...

    async def reach(self, key: str, told: int = 0) -> int:
        """Where the bytes end, finished or not; 0 when there are none. They are durable when it is told."""
        ...

    async def is_extended(self, key: str) -> bool:
        """Whether somebody extends, joins or finishes a partial blob just now, in whatever process.

        Whoever begins to at the very moment of this may meet StoreBusy.
        """
        ...

    async def join(self, key: str, keys: Sequence[str]) -> int:
        """Make a partial blob of others, one after the other, and keep those; where its bytes end. They are durable.

        Raises StoreBusy, BlobMissing, StoreFull and StoreError.
        """
        ...

    async def first_bytes(self, key: str, count: int) -> bytes:
        """Up to `count` bytes from the beginning, finished or not. Raises BlobMissing and StoreError."""
        ...

    def is_summed(self, key: str, size: int) -> bool:
        """Whether `finish` would not have to read so many bytes: they came through here, in order."""
        ...

    async def finish(self, key: str, size: int) -> Stored:
        """Make a blob of all the bytes: durable and visible under the key. Finishing again gives the same.

        Raises StoreBusy, WrongPosition when they are not `size` bytes, and StoreError; then nothing has changed.
        """
        ...


class Entry(NamedTuple):
    """What lies under a key: how many bytes, and for how long they have not been touched."""

    key: str
    size: int
    age_seconds: float


class Inventory(Protocol):
    """What there is in a store, whoever knows of it: for comparing with what there should be.

    What comes and goes meanwhile is in a list or is not. Lists take as much memory however long they are, and nothing
    here keeps the event loop waiting. Methods raise StoreError.
    """

    def blobs(self, after: str = "") -> AsyncGenerator[Sequence[Entry], None]:
        """Every finished blob whose key comes after this one, in the order of their keys, in batches.

        Whoever stops early closes the iterator.
        """
        ...

    def incoming(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Every partial blob that is not finished, in batches. Whoever stops early closes it."""
        ...

    async def leased(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that are in flight under a lease, expired or not, whoever holds it."""
        ...

    async def unfinished(self, keys: Collection[str]) -> set[str]:
        """Those of the keys that are partial blobs still."""
        ...

    async def measure(self, key: str) -> int | None:
        """How many bytes a finished blob has; None when there is none."""
        ...

    async def sum_up(self, key: str, pace: Pace) -> Stored:
        """What lies under a key as the disk has it, summed up again, no faster than `pace` lets it.

        Raises BlobMissing, BlobUnreadable, and whatever `pace` raises.
        """
        ...

    async def discard(self, key: str) -> None:
        """Remove what is not finished under a key, and leave alone what is. Idempotent."""
        ...


class ResumableStore(BlobStore, Partials, Inventory, Protocol):
    """A store that uploads of several requests can go to, and that can be compared with the records."""
