"""Blobs for the tests of stores: their bytes, and the ways in and out."""

import asyncio
import hashlib
import os
import random
import zlib
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from storage.keys import new_key
from storage.store import BlobStore, ResumableStore, Stored

MIB = 1 << 20
# As much as one job writes.
BYTES = random.Random(7).randbytes(4 * MIB)


async def put(store: BlobStore, data: bytes, key: str | None = None, piece: int = 64 << 10) -> Stored:
    """A finished blob whose lease goes on."""
    return await put_pieces(store, (data[at : at + piece] for at in range(0, len(data), piece)), key)


async def put_pieces(store: BlobStore, pieces: Iterable[bytes], key: str | None = None) -> Stored:
    writer = await store.create(key or new_key())
    for piece in pieces:
        await writer.write(piece)
    return await writer.finish()


async def get(store: BlobStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(key, start, end)])


def sums(data: bytes) -> tuple[int, str, int]:
    """Size, SHA-256 and CRC-32, by the standard library."""
    return len(data), hashlib.sha256(data).hexdigest(), zlib.crc32(data)


def sums_of(stored: Stored) -> tuple[int, str, int]:
    return stored.size, stored.digest, stored.crc32


async def release(store: ResumableStore, key: str) -> None:
    """Have a lease end, and wait until it has."""
    await store.release(key)
    assert await leases_end(store, [key])


async def leases_end(store: ResumableStore, keys: Collection[str]) -> bool:
    """Whether leases that may end did."""
    for _ in range(1000):
        if not await store.leased(keys):
            return True
        await asyncio.sleep(0.01)
    return False


def files_below(folder: Path) -> list[str]:
    """Paths of all files, relative to the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def open_files(folder: Path) -> list[str]:
    """What this process holds open below the folder, folders aside."""
    found = []
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - not a folder of files
        path = Path("/proc/self/fd", number)
        if path.is_symlink() and (target := path.readlink()).is_relative_to(folder) and not target.is_dir():
            found.append(str(target.relative_to(folder)))
    return found


def settlers_of(folder: Path) -> list[int]:
    """The processes that settle small blobs of a store."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"storage.settler" in command and str(folder).encode() in command:
                found.append(int(process.name))
    return found
