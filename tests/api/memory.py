"""A store in memory, which shows what lies in it and breaks when it is told to."""

import asyncio
from collections.abc import AsyncGenerator
from hashlib import sha256
from zlib import crc32

from storage.store import BlobMissing, Stored, StoreError


class MemoryStore:
    """Blobs by key: finished ones in `blobs`, others in `incoming`.

    `fault` is raised by the next write; what lies under a `broken` key cannot be removed.
    """

    name = "memory"

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.incoming: dict[str, bytearray] = {}
        self.fault: Exception | None = None
        self.broken: set[str] = set()
        self.created = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not self.blobs and not self.incoming

    async def create(self, key: str) -> "MemoryWriter":
        """A writer."""
        self.created += 1
        self.incoming[key] = bytearray()
        return MemoryWriter(self, key)

    async def release(self, key: str) -> None:
        """There are no leases."""

    async def read(
        self, key: str, start: int = 0, end: int | None = None, *, size: int | None = None
    ) -> AsyncGenerator[bytes]:
        """All at once."""
        if key not in self.blobs:
            raise BlobMissing(key)
        assert size in {None, len(self.blobs[key])}
        yield self.blobs[key][start:end]

    async def delete(self, key: str) -> None:
        """Takes its time, so that a cancellation can come in between."""
        await asyncio.sleep(0.01)
        if key in self.broken:
            raise StoreError
        self.blobs.pop(key, None)
        self.incoming.pop(key, None)

    async def expired_leases(self) -> list[str]:
        """There are no leases."""
        return []

    async def check(self) -> None:
        """Always well."""


class MemoryWriter:
    """One blob on its way in."""

    def __init__(self, store: MemoryStore, key: str) -> None:
        self._store = store
        self._key = key

    @property
    def size(self) -> int:
        """Bytes so far."""
        return len(self._store.incoming[self._key])

    async def write(self, data: bytes) -> None:
        """Raises the fault once."""
        fault, self._store.fault = self._store.fault, None
        if fault is not None:
            raise fault
        self._store.incoming[self._key] += data

    async def finish(self) -> Stored:
        """Into the blobs."""
        data = bytes(self._store.incoming.pop(self._key))
        self._store.blobs[self._key] = data
        return Stored(self._key, len(data), sha256(data).hexdigest(), crc32(data))

    async def abandon(self) -> None:
        """Nothing is left."""
        await self._store.delete(self._key)
