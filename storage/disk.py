"""A store on a disk (provisional)."""

import asyncio
import hashlib
import os
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

from storage.store import BlobMissing, Stored


class DiskWriter:
    """Provisional."""

    def __init__(self, store: "DiskStore", key: str) -> None:
        self._store, self._key, self.size = store, key, 0
        self._hash, self._crc = hashlib.sha256(), 0
        (store.folder / "leases" / key).touch()
        self._file = (store.folder / "incoming" / key).open("wb")

    async def write(self, data: bytes) -> None:
        self.size += len(data)
        self._hash.update(data)
        self._crc = zlib.crc32(data, self._crc)
        await asyncio.to_thread(self._file.write, data)

    async def finish(self) -> Stored:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        (self._store.folder / "incoming" / self._key).rename(self._store.folder / "blobs" / self._key)
        return Stored(self._key, self.size, self._hash.hexdigest(), self._crc)

    async def abandon(self) -> None:
        self._file.close()
        await self._store.delete(self._key)


class DiskStore:
    """Provisional."""

    name = "disk"

    def __init__(self, folder: Path, *, floor_bytes: int, lease_seconds: float) -> None:
        self.folder, self._lease_seconds = folder, lease_seconds

    async def open(self) -> None:
        for name in ("incoming", "blobs", "leases"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    async def close(self) -> None:
        pass

    async def create(self, key: str) -> DiskWriter:
        return DiskWriter(self, key)

    async def release(self, key: str) -> None:
        (self.folder / "leases" / key).unlink(missing_ok=True)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        try:
            data = await asyncio.to_thread((self.folder / "blobs" / key).read_bytes)
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        yield data[start:end]

    async def delete(self, key: str) -> None:
        for name in ("incoming", "blobs", "leases"):
            (self.folder / name / key).unlink(missing_ok=True)

    async def expired_leases(self) -> list[str]:
        now = time.time()
        return [p.name for p in (self.folder / "leases").iterdir() if now - p.stat().st_mtime > self._lease_seconds]

    async def check(self) -> None:
        pass
