"""Readers give every byte or say so, and let go of what they opened."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.disk import DiskStore
from storage.keys import new_key, path_of
from storage.store import BlobAltered, BlobMissing, StoreError
from tests.storage.blobs import BYTES, MIB, get, open_files, put


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await opened.open()
    yield opened
    await opened.close()


async def has_nothing_open(folder: Path) -> bool:
    for _ in range(100):
        if not open_files(folder):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_nothing_stays_open_after_the_last_piece(tmp_path: Path, store: DiskStore) -> None:
    stored = await put(store, BYTES)
    pieces = store.read(stored.key)
    for _ in range(4):
        await anext(pieces)
    assert open_files(tmp_path) == []
    assert await anext(pieces, b"") == b""


async def test_nothing_stays_open_after_an_empty_range(tmp_path: Path, store: DiskStore) -> None:
    stored = await put(store, BYTES)
    assert await get(store, stored.key, 7, 7) == b""
    assert open_files(tmp_path) == []


async def test_nothing_stays_open_when_reading_stops_early(tmp_path: Path, store: DiskStore) -> None:
    stored = await put(store, BYTES)
    pieces = store.read(stored.key)
    await anext(pieces)
    assert open_files(tmp_path) == [f"blobs/{path_of(stored.key)}"]
    await pieces.aclose()
    assert await has_nothing_open(tmp_path)


async def test_nothing_stays_open_when_reading_fails(tmp_path: Path, store: DiskStore) -> None:
    stored = await put(store, BYTES)
    with pytest.raises(StoreError):
        await get(store, stored.key, 0, len(BYTES) + 1)
    assert await has_nothing_open(tmp_path)


@pytest.mark.parametrize("steps", range(8))
async def test_nothing_stays_open_when_the_reader_is_cancelled(tmp_path: Path, store: DiskStore, steps: int) -> None:
    stored = await put(store, BYTES)
    reading = asyncio.create_task(get(store, stored.key))
    for _ in range(steps):
        await asyncio.sleep(0.0001)
    reading.cancel()
    await asyncio.wait({reading})
    assert await has_nothing_open(tmp_path)
    assert await get(store, stored.key) == BYTES


async def test_a_reader_that_was_never_started_opens_nothing(tmp_path: Path, store: DiskStore) -> None:
    stored = await put(store, BYTES)
    await store.read(stored.key).aclose()
    assert open_files(tmp_path) == []


async def test_a_blob_that_shrinks_while_it_is_read_is_a_fault(tmp_path: Path, store: DiskStore) -> None:
    stored = await put(store, BYTES)
    pieces = store.read(stored.key)
    await anext(pieces)
    os.truncate(tmp_path / "blobs" / path_of(stored.key), 2 * MIB + 9)
    with pytest.raises(StoreError, match="early"):
        [piece async for piece in pieces]
    assert await has_nothing_open(tmp_path)


async def test_a_blob_that_is_deleted_while_it_is_read_is_read_to_its_end(store: DiskStore) -> None:
    stored = await put(store, BYTES)
    pieces = store.read(stored.key)
    first = await anext(pieces)
    await store.delete(stored.key)
    assert first + b"".join([piece async for piece in pieces]) == BYTES


async def test_missing_and_unreadable_blobs_differ(tmp_path: Path, store: DiskStore) -> None:
    key = new_key()
    with pytest.raises(BlobMissing):
        await get(store, key)
    (tmp_path / "blobs" / path_of(key)).mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        await get(store, key, 0, 1)
    assert caught.type is StoreError
    assert await has_nothing_open(tmp_path)


async def test_a_small_range_that_is_in_memory_is_read_at_once(store: DiskStore, tmp_path: Path) -> None:
    stored = await put(store, BYTES)
    assert store.read_at_once(stored.key, 3, 900, size=len(BYTES)) == BYTES[3:900]
    assert store.read_at_once(stored.key, 5, 5, size=len(BYTES)) == b""
    assert open_files(tmp_path) == []


async def test_what_cannot_be_read_at_once_is_none(store: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = await put(store, BYTES)
    assert store.read_at_once(new_key(), 0, 1, size=1) is None
    assert store.read_at_once(stored.key, len(BYTES) - 1, len(BYTES) + 1, size=len(BYTES) + 1) is None
    monkeypatch.setattr("storage.readers._WITHOUT_WAITING", None)
    assert store.read_at_once(stored.key, 0, 1, size=len(BYTES)) is None


async def test_a_blob_that_has_another_size_than_it_should_is_not_read(store: DiskStore) -> None:
    stored = await put(store, BYTES)
    assert b"".join([piece async for piece in store.read(stored.key, 1, 9, size=len(BYTES))]) == BYTES[1:9]
    for size in (len(BYTES) - 1, len(BYTES) + 1):
        with pytest.raises(BlobAltered):
            await anext(store.read(stored.key, 0, 5, size=size))
        assert store.read_at_once(stored.key, 0, 5, size=size) is None


async def test_a_blob_is_opened_as_a_file_and_closed_once(store: DiskStore, tmp_path: Path) -> None:
    stored = await put(store, BYTES)
    file = await store.open_file(stored.key)
    assert os.pread(file.descriptor, 5, 2) == BYTES[2:7]
    assert file.size == len(BYTES)
    file.close()
    file.close()
    assert open_files(tmp_path) == []
    with pytest.raises(BlobMissing):
        await store.open_file(new_key())
