"""What becomes of partial blobs when a disk fails, and when others come in between."""

import errno
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from storage import locks
from storage.disk import DiskStore
from storage.keys import new_key
from storage.store import Partials, StoreBusy, StoreError, StoreFull, WrongPosition
from tests.storage.blobs import BYTES, MIB, files_below, get, sums, sums_of


class Disk:
    """Syncs, and fails at the paths that end as `broken` says."""

    def __init__(self) -> None:
        self.broken: str | None = None
        self.synced: list[str] = []

    def __call__(self, descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if self.broken is not None and path.endswith(self.broken):
            raise OSError(errno.EIO, "broken")
        os.fsync(descriptor)
        self.synced.append(path)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def store(tmp_path: Path, disk: Disk) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path / "store", floor_bytes=0, lease_seconds=60, sync=disk)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def other(tmp_path: Path, store: DiskStore) -> AsyncIterator[DiskStore]:
    """Another process, that remembers nothing of what the store has seen."""
    assert store.name == "disk"
    opened = DiskStore(tmp_path / "store", floor_bytes=0, lease_seconds=60)
    await opened.open()
    yield opened
    await opened.close()


async def extended(store: Partials, key: str, position: int, data: bytes) -> int:
    writer = await store.extend(key, position)
    await writer.write(data)
    return await writer.close()


@pytest.mark.parametrize("broken", ["", "incoming"])
async def test_what_could_not_be_synced_is_never_told_later(store: DiskStore, disk: Disk, broken: str) -> None:
    key = new_key()
    await extended(store, key, 0, b"12345")
    writer = await store.extend(key, 5)
    await writer.write(b"678")
    disk.broken = broken
    for _ in range(2):
        with pytest.raises(StoreError):
            await writer.close()
    disk.broken = None
    assert await store.reach(key, 5) == 5
    assert not store.is_summed(key, 8)
    with pytest.raises(WrongPosition):
        await store.finish(key, 8)
    assert await extended(store, key, 5, b"abc") == 8
    assert sums_of(await store.finish(key, 8)) == sums(b"12345abc")


async def test_what_a_dead_process_left_unsynced_is_not_told_after_a_failed_sync(store: DiskStore, disk: Disk) -> None:
    key = new_key()
    await extended(store, key, 0, b"12345")
    lying = Path(store._layout.folder, "incoming", key)
    for attempt in ("reach", "extend"):
        lying.write_bytes(b"12345678")
        disk.broken = ""
        with pytest.raises(StoreError):
            await (store.reach(key, 5) if attempt == "reach" else store.extend(key, 8, 5))
        disk.broken = None
        assert await store.reach(key, 5) == 5
    lying.write_bytes(b"12345678")
    disk.synced.clear()
    with pytest.raises(WrongPosition):
        await store.extend(key, 5, 5)
    assert str(lying) in disk.synced, "it was told, and so had to be durable"


async def test_a_failed_sync_takes_nothing_from_who_is_writing(store: DiskStore, disk: Disk) -> None:
    key = new_key()
    writer = await store.extend(key, 0)
    await writer.write(BYTES[: 2 * MIB])
    await writer.write(BYTES[2 * MIB :])
    disk.broken = ""
    with pytest.raises(StoreError):
        await store.reach(key)
    disk.broken = None
    assert await writer.close() == len(BYTES)
    assert sums_of(await store.finish(key, len(BYTES))) == sums(BYTES)


async def test_a_failed_sync_takes_nothing_from_what_was_told_or_is_finished(
    store: DiskStore, other: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    await extended(store, key, 0, b"12345")

    def broken(*_arguments: object) -> None:
        raise OSError(errno.EIO, "broken")

    def finished_before(*_arguments: object) -> None:
        other._partials.finish(key, 5)
        broken()

    for keep, told in ((broken, 5), (finished_before, 0)):
        monkeypatch.setattr(store._layout, "keep", keep)
        with pytest.raises(StoreError):
            await store.reach(key, told)
        monkeypatch.undo()
        assert await store.reach(key) == 5
    assert await get(store, key) == b"12345"


async def test_a_part_that_could_not_be_synced_takes_no_other_part_along(store: DiskStore, disk: Disk) -> None:
    key = new_key()
    first, second = await store.place(key, 0, 5), await store.place(key, 5, 5)
    await second.write(b"67890")
    assert await second.close() == 10
    await first.write(b"12345")
    disk.broken = ""
    with pytest.raises(StoreError):
        await first.close()
    disk.broken = None
    again = await store.place(key, 0, 5)
    await again.write(b"abcde")
    await again.close()
    assert sums_of(await store.finish(key, 10)) == sums(b"abcde67890")


async def test_what_was_joined_and_could_not_be_synced_is_joined_anew(store: DiskStore, disk: Disk) -> None:
    piece, whole = new_key(), new_key()
    await extended(store, piece, 0, b"12345")
    disk.broken = whole
    with pytest.raises(StoreError):
        await store.join(whole, [piece])
    disk.broken = None
    assert await store.reach(whole) == 0
    assert await store.join(whole, [piece, piece]) == 10
    assert sums_of(await store.finish(whole, 10)) == sums(b"1234512345")


async def test_a_blob_whose_place_could_not_be_synced_is_not_finished_before_it_is(
    store: DiskStore, disk: Disk, other: DiskStore
) -> None:
    key = new_key()
    await extended(store, key, 0, b"12345")
    disk.broken = f"blobs/{key[:2]}"
    for _ in range(2):
        with pytest.raises(StoreError):
            await store.finish(key, 5)
    disk.broken = None
    disk.synced.clear()
    assert sums_of(await store.finish(key, 5)) == sums(b"12345")
    assert {path.rpartition("/")[2] for path in disk.synced} == {key, key[:2]}
    assert sums_of(await other.finish(key, 5)) == sums(b"12345")


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A disk that is full once a file has 1,500,000 bytes, and writes what still fits."""
    real = os.pwritev
    most = 1_500_000

    def full(descriptor: int, buffers: Any, offset: int) -> int:
        if offset >= most:
            raise OSError(errno.ENOSPC, "no space left")
        data = b"".join(buffers)[: most - offset]
        # What a file system may have made room for, and not written.
        os.ftruncate(descriptor, max(os.fstat(descriptor).st_size, offset + len(data) + 10))
        return real(descriptor, [data], offset)

    monkeypatch.setattr(os, "pwritev", full)
    return monkeypatch


async def test_a_disk_that_is_full_amid_a_write_leaves_what_can_be_gone_on_with(
    store: DiskStore, small_files: pytest.MonkeyPatch
) -> None:
    key = new_key()
    writer = await store.extend(key, 0)
    await writer.write(BYTES)
    with pytest.raises(StoreFull):
        await writer.write(BYTES)
    assert await writer.close() == 1_500_000
    assert not store.is_summed(key, 1_500_000)
    assert await store.reach(key) == 1_500_000
    small_files.undo()
    assert await extended(store, key, 1_500_000, BYTES[1_500_000:]) == len(BYTES)
    assert sums_of(await store.finish(key, len(BYTES))) == sums(BYTES)


async def test_joining_writes_all_of_it_also_where_writes_are_short(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_arguments: object) -> int:
        raise OSError(errno.EXDEV, "another file system")

    real = os.pwritev
    first, second, whole = new_key(), new_key(), new_key()
    await extended(store, first, 0, BYTES[:MIB])
    await extended(store, second, 0, BYTES[MIB:])
    monkeypatch.setattr(os, "copy_file_range", unsupported)
    monkeypatch.setattr(os, "pwritev", lambda to, buffers, at: real(to, [b"".join(buffers)[:100_000]], at))
    assert await store.join(whole, [first, second]) == len(BYTES)
    assert sums_of(await store.finish(whole, len(BYTES))) == sums(BYTES)


async def test_of_two_who_finish_at_once_both_are_told_the_same(
    store: DiskStore, other: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    await extended(store, key, 0, BYTES)
    # Where the folder knows no locks, or they end too early: the other comes in between at the last moment.
    monkeypatch.setattr(locks, "_lock", lambda *_: None)
    real = store._layout.settle_partial

    def after_another(settled: str) -> None:
        other._partials.finish(settled, len(BYTES))
        real(settled)

    monkeypatch.setattr(store._layout, "settle", after_another)
    assert sums_of(await store.finish(key, len(BYTES))) == sums(BYTES)
    assert await get(store, key) == BYTES


async def test_what_is_removed_while_it_is_finished_is_not_finished(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    await extended(store, key, 0, b"12345")
    real = store._layout.settle_partial

    def after_removal(settled: str) -> None:
        store._layout.remove(settled)
        real(settled)

    monkeypatch.setattr(store._layout, "settle_partial", after_removal)
    with pytest.raises(WrongPosition):
        await store.finish(key, 5)
    assert files_below(tmp_path / "store") == []


WAYS: dict[str, Callable[[DiskStore, str, str], Awaitable[object]]] = {
    "extend": lambda store, key, _: store.extend(key, 0),
    "place": lambda store, key, _: store.place(key, 0, 5),
    "join": lambda store, key, piece: store.join(key, [piece]),
}


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_writes_beside_what_is_finished_before_it_is_opened(
    store: DiskStore, other: DiskStore, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    piece, key = new_key(), new_key()
    await extended(store, piece, 0, b"abcde")
    await extended(other, key, 0, b"12345")
    real = store._partials._refuse_finished

    def finished_after(asked: str) -> None:
        real(asked)
        monkeypatch.undo()
        other._partials.finish(asked, 5)

    monkeypatch.setattr(store._partials, "_refuse_finished", finished_after)
    with pytest.raises(WrongPosition):
        await WAYS[way](store, key, piece)
    assert await get(store, key) == b"12345"
    assert files_below(store._layout.folder / "incoming") == [piece]


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_writes_over_what_is_finished_before_it_is_locked(
    store: DiskStore, other: DiskStore, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    piece, key, content = new_key(), new_key(), b"" if way == "extend" else b"12345"
    await extended(store, piece, 0, b"abcde")
    await extended(other, key, 0, content)
    real = locks._lock

    def finished_before(file: io.FileIO, kind: int) -> None:
        monkeypatch.undo()
        other._partials.finish(key, len(content))
        real(file, kind)

    monkeypatch.setattr(locks, "_lock", finished_before)
    with pytest.raises(StoreBusy):
        await WAYS[way](store, key, piece)
    assert await get(store, key) == content
    assert files_below(store._layout.folder / "incoming") == [piece]


async def test_a_file_left_beside_a_finished_blob_takes_nothings_place(store: DiskStore, tmp_path: Path) -> None:
    key = new_key()
    await extended(store, key, 0, b"12345")
    await store.finish(key, 5)
    # A process died after it had opened a new file, and before it saw that the blob was finished.
    (tmp_path / "store/incoming" / key).write_bytes(b"abcde")
    assert sums_of(await store.finish(key, 5)) == sums(b"12345")
    assert await get(store, key) == b"12345"


async def test_the_sum_of_what_was_removed_is_forgotten(store: DiskStore) -> None:
    key = new_key()
    await extended(store, key, 0, b"12345")
    assert store.is_summed(key, 5)
    await store.delete(key)
    assert not store.is_summed(key, 5)
