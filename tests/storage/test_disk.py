"""What only a disk can do wrong: processes that die, two at once, disks that are full."""

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from storage.disk import DiskStore
from storage.keys import new_key
from storage.store import StoreError, StoreFull
from tests.machine import absent, comes_true
from tests.storage.blobs import BYTES, MIB, files_below, get, put, settlers_of, sums, sums_of

ROOT = Path(__file__).parent.parent.parent
UPLOADING = [sys.executable, "-m", "tests.storage.uploading"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path, floor_bytes=0, lease_seconds=1)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounting.returncode:
        absent("mount", f"no file system can be mounted: {mounting.stderr}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def keys_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


async def kill_while_uploading(folder: Path, seconds: float) -> dict[str, tuple[int, str]]:
    """Let a process upload for a while after its first blob, and kill it; what it would have committed."""
    process = await asyncio.create_subprocess_exec(*UPLOADING, folder, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [await process.stdout.readline()]
    await asyncio.sleep(seconds)
    process.kill()
    lines += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    rows = [line.decode().split() for line in lines if line.endswith(b"\n")]
    return {key: (int(size), digest) for key, size, digest in rows}


async def expiring(store: DiskStore, keys: set[str]) -> set[str]:
    expired: set[str] = set()
    for _ in range(100):
        expired = set(await store.expired_leases())
        if expired == keys:
            break
        await asyncio.sleep(0.05)
    return expired


@pytest.mark.parametrize("_round", range(4))
async def test_a_killed_process_leaves_what_it_promised_and_leases_for_the_rest(
    tmp_path: Path, store: DiskStore, _round: int
) -> None:
    committed = await kill_while_uploading(tmp_path, random.uniform(0, 0.3))
    assert await comes_true(lambda: not settlers_of(tmp_path)), "what it was asked last is done, then it ends"
    leased, stored = keys_in(tmp_path / "leases"), keys_in(tmp_path / "blobs")
    assert keys_in(tmp_path / "incoming") <= leased
    assert stored - leased <= set(committed)
    assert set(committed) <= stored
    assert await expiring(store, leased) == leased
    # What the sweep does: bytes without a row go, the others lose their lease.
    for key in leased:
        await (store.release(key) if key in committed else store.delete(key))
    assert await comes_true(lambda: files_below(tmp_path / "leases") == [])
    assert keys_in(tmp_path) == set(committed)
    for key, (size, digest) in committed.items():
        assert sums(await get(store, key))[:2] == (size, digest)


async def test_a_sweep_beside_a_process_that_uploads_takes_nothing_from_it(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=2)
    await store.open()
    uploading = asyncio.create_task(kill_while_uploading(tmp_path, 3))
    while not uploading.done():
        assert await store.expired_leases() == []
        await asyncio.wait({uploading}, timeout=0.1)
    committed = await uploading
    assert set(committed) <= keys_in(tmp_path / "blobs")
    await store.close()


async def test_two_stores_share_a_folder(tmp_path: Path, store: DiskStore) -> None:
    async with AsyncExitStack() as closing:
        other = DiskStore(tmp_path, floor_bytes=0, lease_seconds=1)
        await other.open()
        closing.push_async_callback(other.close)
        stored = await put(store, BYTES)
        assert await get(other, stored.key) == BYTES
        with pytest.raises(StoreError):
            await put(other, b"other", stored.key)
        assert await get(store, stored.key) == BYTES
        await other.release(stored.key)
        await other.delete(stored.key)
        assert files_below(tmp_path) == []


@pytest.mark.parametrize("piece", [4096, 64 << 10, 4 * MIB])
async def test_a_full_disk_is_told_and_the_blob_removed(small_disk: Path, piece: int) -> None:
    store = DiskStore(small_disk, floor_bytes=0, lease_seconds=60)
    await store.open()
    kept = await put(store, BYTES)
    with pytest.raises(StoreFull):
        await put(store, BYTES + BYTES, piece=piece)
    assert len(files_below(small_disk)) == 2
    assert await get(store, kept.key) == BYTES
    with pytest.raises(StoreFull):
        await put(store, BYTES + BYTES, piece=piece)
    assert sums_of(await put(store, BYTES[:MIB])) == sums(BYTES[:MIB])
    await store.close()


async def test_a_full_disk_fails_the_check(small_disk: Path) -> None:
    store = DiskStore(small_disk, floor_bytes=0, lease_seconds=60)
    await store.open()
    await store.check()
    filling = small_disk / "filling"
    with filling.open("wb", buffering=0) as file:
        assert file.write(bytes(9 * MIB)) < 9 * MIB
    with pytest.raises(StoreFull):
        await store.check()
    assert files_below(small_disk) == ["filling"]
    filling.unlink()
    await store.check()
    await store.close()


async def test_receiving_stops_at_the_floor(small_disk: Path) -> None:
    store = DiskStore(small_disk, floor_bytes=5 * MIB, lease_seconds=60)
    await store.open()
    writer = await store.create(new_key())
    (small_disk / "other").write_bytes(bytes(4 * MIB))
    await writer.write(BYTES[:MIB])
    await asyncio.sleep(1.1)
    await writer.write(BYTES[:MIB])
    with pytest.raises(StoreFull):
        await writer.finish()
    assert files_below(small_disk) == ["other"]
    with pytest.raises(StoreFull):
        await store.create(new_key())
    with pytest.raises(StoreFull):
        await store.check()
    await store.close()


async def test_the_check_leaves_nothing_and_takes_the_place_of_one_cut_short(tmp_path: Path, store: DiskStore) -> None:
    (tmp_path / "probe").write_bytes(b"cut short")
    await store.check()
    assert files_below(tmp_path) == []


async def test_a_check_that_cannot_write_fails(tmp_path: Path, store: DiskStore) -> None:
    (tmp_path / "probe").symlink_to("nowhere/at/all")
    with pytest.raises(StoreError):
        await store.check()
    await store.check()
