"""The floor is kept free."""

from pathlib import Path

import pytest

from storage.disk import DiskStore
from storage.keys import new_key
from storage.room import Room
from storage.store import StoreError, StoreFull

HUGE = 1 << 62


def test_measuring_counts_for_a_while(tmp_path: Path) -> None:
    room = Room(tmp_path, 0)
    assert not room.is_known
    room.require()
    assert room.is_known
    tmp_path.rmdir()
    room.require()


def test_below_the_floor_is_full(tmp_path: Path) -> None:
    with pytest.raises(StoreFull, match="bytes are free"):
        Room(tmp_path, HUGE).require()


async def test_nothing_begins_below_the_floor(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, floor_bytes=HUGE, lease_seconds=60)
    await store.open()
    for _ in range(2):
        with pytest.raises(StoreFull):
            await store.create(new_key())
    with pytest.raises(StoreFull):
        await store.check()
    assert not (tmp_path / "probe").exists()
    await store.close()


async def test_a_folder_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store", floor_bytes=0, lease_seconds=60)
    await store.open()
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        await store.check()
    with pytest.raises(StoreError):
        await store.create(new_key())
    await store.close()


async def test_the_size_of_the_disk_and_what_is_free_of_it_can_be_asked(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, floor_bytes=HUGE, lease_seconds=60)
    disk = await store.disk()
    assert 0 < disk.free < disk.size
    await store.close()
