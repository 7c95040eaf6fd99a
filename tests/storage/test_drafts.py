"""Whatever goes wrong while bytes are written, what was written goes away again."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.disk import DiskStore
from storage.drafts import Draft
from storage.keys import new_key, path_of
from storage.layout import Layout
from storage.leases import Leases
from storage.room import Room
from storage.store import StoreError, StoreFull
from tests.storage.blobs import BYTES, MIB, files_below, get, put, sums, sums_of


def draft(folder: Path, floor_bytes: int = 0) -> Draft:
    layout = Layout(folder, os.fsync)
    layout.open()
    leases = Leases(layout.leases, 60)
    leases.open()
    return Draft(new_key(), layout, leases, Room(folder, floor_bytes))


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_pieces_are_stored_and_summed_up_in_order(tmp_path: Path) -> None:
    receiving = draft(tmp_path)
    receiving.append([BYTES[:MIB], bytearray(BYTES[MIB : MIB + 9])])
    receiving.append([BYTES[MIB + 9 :]])
    assert sums_of(receiving.settle([])) == sums(BYTES)


def test_the_disk_is_not_touched_before_the_first_piece(tmp_path: Path) -> None:
    receiving = draft(tmp_path)
    assert files_below(tmp_path) == []
    receiving.discard()
    assert files_below(tmp_path) == []


def test_what_was_discarded_does_not_come_back(tmp_path: Path) -> None:
    receiving = draft(tmp_path)
    receiving.append([BYTES])
    assert len(files_below(tmp_path)) == 1
    receiving.discard()
    # A job that was begun before may come to its turn after.
    with pytest.raises(StoreError, match="abandoned"):
        receiving.append([BYTES])
    with pytest.raises(StoreError, match="abandoned"):
        receiving.settle([])
    assert files_below(tmp_path) == []


def test_nothing_is_stored_below_the_floor(tmp_path: Path) -> None:
    receiving = draft(tmp_path, floor_bytes=1 << 62)
    with pytest.raises(StoreFull):
        receiving.append([BYTES])
    assert files_below(tmp_path) == []


def test_a_key_that_is_in_flight_is_not_begun(tmp_path: Path) -> None:
    receiving = draft(tmp_path)
    old = tmp_path / "leases" / receiving._key
    old.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        receiving.append([BYTES])
    receiving.discard()
    assert files_below(tmp_path) == [f"leases/{receiving._key}"]
    assert old.read_bytes() == b"old"


def test_a_blob_is_not_written_over(tmp_path: Path) -> None:
    receiving = draft(tmp_path)
    old = tmp_path / "blobs" / path_of(receiving._key)
    old.parent.mkdir()
    old.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        receiving.settle([BYTES])
    receiving.discard()
    assert files_below(tmp_path) == [f"blobs/{path_of(receiving._key)}"]
    assert old.read_bytes() == b"old"


async def test_a_file_that_may_not_grow_is_a_fault_and_is_removed(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await store.open()
    stored = await put(store, BYTES[:MIB])
    with no_file_larger_than(MIB + MIB // 2), pytest.raises(StoreError, match="too large"):
        await put(store, BYTES)
    assert len(files_below(tmp_path)) == 2, "the first blob and its lease"
    assert await get(store, stored.key) == BYTES[:MIB]
    await store.close()


def test_a_write_that_the_system_cuts_short_is_continued(tmp_path: Path) -> None:
    receiving = draft(tmp_path)
    with no_file_larger_than(100), pytest.raises(OSError, match="too large"):
        receiving.append([BYTES[:64], BYTES[64:128]])
    assert (tmp_path / "leases" / receiving._key).read_bytes() == BYTES[:100]
    receiving.discard()
    assert files_below(tmp_path) == []
