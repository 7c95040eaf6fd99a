"""Bytes get to their place for good: what is synced, and when."""

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.disk import DiskStore
from storage.keys import branch_of, new_key, path_of
from storage.layout import Layout
from storage.store import StoreError, StoreFull
from tests.machine import comes_true
from tests.storage.blobs import BYTES, files_below, get, put


class Witness:
    """Syncs, and notes what was synced and which files were there then. Fails with `fault` from sync number `at` on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[tuple[str, list[str]]] = []
        self.at = 0
        self.fault = 0

    def __call__(self, descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.seen.append((os.path.relpath(target, self.folder), files_below(self.folder)))
        if self.fault and len(self.seen) > self.at:
            raise OSError(self.fault, os.strerror(self.fault))
        os.fsync(descriptor)

    def begin(self, *, at: int = 0, fault: int = 0) -> None:
        self.seen, self.at, self.fault = [], at, fault

    @property
    def synced(self) -> list[str]:
        return [target for target, _ in self.seen]


async def opened(folder: Path) -> tuple[DiskStore, Witness]:
    witness = Witness(folder)
    store = DiskStore(folder, floor_bytes=0, lease_seconds=60, sync=witness)
    await store.open()
    return store, witness


async def test_opening_makes_folders_that_last_and_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "where"
    store, witness = await opened(folder)
    assert witness.synced == ["../..", "..", "."]
    assert {path.name for path in folder.iterdir()} == {"incoming", "blobs", "leases"}
    for path in (folder.parent, folder, *folder.iterdir()):
        assert path.stat().st_mode & 0o777 == 0o700
    await store.close()


async def test_opening_again_removes_nothing(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path)
    stored = await put(store, b"abc")
    receiving = await store.create(new_key())
    await receiving.write(BYTES)
    await receiving.write(BYTES)
    before = files_below(tmp_path)
    assert len(before) == 3
    second, _ = await opened(tmp_path)
    assert files_below(tmp_path) == before
    assert await get(second, stored.key) == b"abc"
    await receiving.abandon()
    await store.close()
    await second.close()


async def test_a_store_in_a_file_does_not_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = DiskStore(tmp_path / "file", floor_bytes=0, lease_seconds=60)
    with pytest.raises(StoreError):
        await store.open()
    await store.close()


@pytest.mark.parametrize("size", [100, len(BYTES)])
async def test_bytes_are_synced_before_they_are_in_place_and_their_folder_after(tmp_path: Path, size: int) -> None:
    store, witness = await opened(tmp_path)
    first, second = f"ab{new_key()[2:]}", f"ab{new_key()[2:]}"
    witness.begin()
    await put(store, BYTES[:size], first)
    lease, blob = f"leases/{first}", f"blobs/{path_of(first)}"
    assert witness.seen == [
        (lease, [lease]),
        ("blobs", [lease]),
        (f"blobs/{branch_of(first)}", [blob, lease]),
    ]
    await store.release(first)
    await store.delete(first)
    witness.begin()
    await put(store, BYTES[:size], second)
    assert witness.synced == [f"leases/{second}", f"blobs/{branch_of(second)}"], "the branch lasts by now"
    await store.close()


async def test_a_branch_that_another_process_made_is_synced_once_more(tmp_path: Path) -> None:
    key = new_key()
    store, witness = await opened(tmp_path)
    (tmp_path / "blobs" / branch_of(key)).mkdir()
    witness.begin()
    await put(store, b"abc", key)
    assert "blobs" in witness.synced
    await store.close()


async def test_files_are_private(tmp_path: Path) -> None:
    store, _ = await opened(tmp_path)
    await put(store, b"abc")
    receiving = await store.create(new_key())
    await receiving.write(BYTES)
    await receiving.write(BYTES)
    files = [tmp_path / path for path in files_below(tmp_path)]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    await receiving.abandon()
    await store.close()


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, StoreError), (errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull)]
)
@pytest.mark.parametrize("at", [0, 1, 2], ids=["bytes", "blobs", "branch"])
@pytest.mark.parametrize("size", [100, len(BYTES)])
async def test_bytes_that_cannot_be_synced_are_removed(
    tmp_path: Path, at: int, size: int, number: int, kind: type[StoreError]
) -> None:
    store, witness = await opened(tmp_path)
    witness.begin(at=at, fault=number)
    with pytest.raises(StoreError) as caught:
        await put(store, BYTES[:size])
    assert caught.type is kind
    assert isinstance(caught.value.__cause__, OSError)
    assert files_below(tmp_path) == []
    witness.begin()
    assert (await put(store, BYTES[:size])).size == size
    await store.close()


def test_what_is_not_a_key_is_not_begun(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "store", os.fsync)
    layout.open()
    with pytest.raises(ValueError, match="not a key"):
        layout.begin("../../escaped")
    assert files_below(tmp_path) == []
    layout.close()


class Unlinked:
    """`os.link` where no file can have two names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int = errno.EPERM) -> None:
        self._number = number
        monkeypatch.setattr(os, "link", self)

    def __call__(self, *_: object, **__: object) -> None:
        raise OSError(self._number, os.strerror(self._number))


async def test_where_no_file_has_two_names_bytes_are_moved_and_their_key_stays_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Unlinked(monkeypatch)
    store, witness = await opened(tmp_path)
    key = new_key()
    witness.begin()
    await put(store, b"abc", key)
    lease, blob = f"leases/{key}", f"blobs/{path_of(key)}"
    assert witness.seen == [(lease, [lease]), ("blobs", [lease]), (f"blobs/{branch_of(key)}", [blob, lease])]
    assert await get(store, key) == b"abc"
    await store.release(key)
    assert await comes_true(lambda: files_below(tmp_path) == [blob])
    with pytest.raises(StoreError):
        await put(store, b"def", key)
    assert await get(store, key) == b"abc"
    assert files_below(tmp_path) == [blob]
    await store.close()


async def test_what_cannot_be_moved_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Unlinked(monkeypatch)
    store, _ = await opened(tmp_path)
    monkeypatch.setattr(Layout, "begin", _failing_once_more(Layout.begin))
    with pytest.raises(StoreFull):
        await put(store, b"abc")
    assert files_below(tmp_path) == []
    await store.close()


def _failing_once_more(begin: Callable[[Layout, str], int]) -> Callable[[Layout, str], int]:
    """The first time what it is; the second time the disk is full."""
    begun: list[str] = []

    def beginning(layout: Layout, key: str) -> int:
        begun.append(key)
        if len(begun) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return begin(layout, key)

    return beginning


async def test_other_faults_of_linking_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Unlinked(monkeypatch, errno.EIO)
    store, _ = await opened(tmp_path)
    with pytest.raises(StoreError):
        await put(store, b"abc")
    assert files_below(tmp_path) == []
    await store.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_threads_that_need_a_branch_at_the_same_time_share_it(tmp_path: Path) -> None:
    both = threading.Barrier(2)
    syncing = threading.local()

    def sync(descriptor: int) -> None:
        os.fsync(descriptor)
        if getattr(syncing, "is_racing", False):
            syncing.is_racing = False
            both.wait(10)

    layout = Layout(tmp_path, sync)
    layout.open()
    keys = [f"ab{new_key()[2:]}" for _ in range(2)]

    def settle(key: str) -> None:
        os.close(layout.begin(key))
        syncing.is_racing = True
        layout.settle(key)

    with ThreadPoolExecutor(2) as racing:
        list(racing.map(settle, keys))
    assert [layout.size_of(key) for key in keys] == [0, 0]
    before = open_descriptors()
    layout.close()
    assert before - open_descriptors() == 4, "three folders and one branch"


async def test_bytes_that_can_be_neither_synced_nor_removed_keep_their_lease(tmp_path: Path) -> None:
    key = new_key()

    def sync(descriptor: int) -> None:
        folder = Path(f"/proc/self/fd/{descriptor}").readlink()
        if folder.name == branch_of(key):
            (folder / key).unlink()
            (folder / key / "full").mkdir(parents=True)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fsync(descriptor)

    store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60, sync=sync)
    await store.open()
    with pytest.raises(StoreError):
        await put(store, b"abc", key)
    assert (tmp_path / "leases" / key).exists(), "a sweep will find them"
    await store.close()
