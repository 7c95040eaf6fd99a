"""What there is in a store is found, whoever knows of it."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import inventory
from storage.direct_targets import DirectTargets
from storage.disk import DiskStore
from storage.keys import new_key, path_of
from storage.store import BlobMissing, BlobUnreadable, Entry, StoreError
from tests.storage.blobs import BYTES, MIB, open_files, put, sums, sums_of


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await opened.open()
    yield opened
    await opened.close()


async def at_any_pace(_count: int) -> None:
    pass


async def blobs(store: DiskStore, after: str = "") -> list[Entry]:
    return [entry async for batch in store.blobs(after) for entry in batch]


async def incoming(store: DiskStore) -> list[Entry]:
    return [entry async for batch in store.incoming() for entry in batch]


async def test_every_blob_is_listed_in_the_order_of_keys(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_BATCH", 2)
    keys = sorted([new_key() for _ in range(20)] + [f"{number:032x}" for number in range(5)])
    for number, key in enumerate(keys):
        await put(store, BYTES[:number], key)
    # What is no blob is nobody's business.
    (tmp_path / "blobs/ab").mkdir(exist_ok=True)
    (tmp_path / "blobs/ab/notes").write_bytes(b"")
    (tmp_path / "blobs/ab" / keys[0]).write_bytes(b"")
    (tmp_path / "blobs/notes").write_bytes(b"")
    found = await blobs(store)
    assert [(entry.key, entry.size) for entry in found] == [(key, number) for number, key in enumerate(keys)]
    assert all(0 <= entry.age_seconds < 60 for entry in found)
    for at in (0, 3, 10, 24):
        assert [entry.key for entry in await blobs(store, keys[at])] == keys[at + 1 :]


async def test_what_is_on_its_way_is_listed_apart(store: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "_BATCH", 2)
    receiving, partial = new_key(), new_key()
    writer = await store.create(receiving)
    await writer.write(BYTES)
    await writer.write(BYTES)
    growing = await store.extend(partial, 0)
    await growing.write(b"12345")
    await growing.close()
    (store._layout.incoming / "notes").write_bytes(b"")
    await writer._last_job()
    assert {entry.key: entry.size for entry in await incoming(store)} == {partial: 5}, "the rest is leased"
    assert await blobs(store) == []
    assert await store.leased([receiving, partial, new_key()]) == {receiving}
    await store.discard(partial)
    await store.discard(partial)
    await writer.abandon()
    assert await incoming(store) == []
    for entry in "01234":
        (store._layout.incoming / entry).write_bytes(b"")
    assert await incoming(store) == []


async def test_what_is_removed_while_it_is_listed_is_left_out(store: DiskStore) -> None:
    stored = await put(store, b"12345")
    listed = store._inventory._entries(store._layout.blobs / stored.key[:2], [stored.key, new_key()])
    assert [entry.key for entry in listed] == [stored.key]
    (store._layout.blobs / "ab").mkdir(exist_ok=True)
    assert [entry.key for entry in await blobs(store)] == [stored.key]
    gone = store.blobs()
    (store._layout.blobs / path_of(stored.key)).unlink()
    assert [batch async for batch in gone] == []


async def test_discarding_leaves_finished_blobs_alone(store: DiskStore) -> None:
    stored = await put(store, b"12345")
    await store.discard(stored.key)
    assert await store.measure(stored.key) == 5
    assert await store.measure(new_key()) is None


async def test_a_blob_is_summed_up_again_at_the_pace_that_is_given(store: DiskStore, tmp_path: Path) -> None:
    stored, read = await put(store, BYTES), []

    async def pace(count: int) -> None:
        read.append(count)

    assert await store.sum_up(stored.key, pace) == stored
    assert read == [MIB] * 4
    with (tmp_path / "blobs" / path_of(stored.key)).open("r+b") as file:
        file.seek(MIB + 7)
        file.write(bytes([BYTES[MIB + 7] ^ 4]))
    changed = BYTES[: MIB + 7] + bytes([BYTES[MIB + 7] ^ 4]) + BYTES[MIB + 8 :]
    assert sums_of(await store.sum_up(stored.key, pace)) == sums(changed)
    assert sums_of(await store.sum_up((await put(store, b"")).key, pace)) == sums(b"")
    with pytest.raises(BlobMissing):
        await store.sum_up(new_key(), pace)


async def test_bytes_that_cannot_be_read_are_told_from_a_disk_that_does_not_answer(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await put(store, BYTES)
    for number, told in ((errno.EIO, BlobUnreadable), (errno.ESTALE, StoreError)):

        def broken(*_arguments: object, number: int = number) -> bytes:
            raise OSError(number, "broken")

        monkeypatch.setattr(os, "pread", broken)
        with pytest.raises(StoreError) as caught:
            await store.sum_up(stored.key, at_any_pace)
        assert caught.type is told
    store._threads.close()
    assert open_files(tmp_path) == []


async def test_who_stops_summing_up_leaves_nothing_open(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, has_begun = await put(store, BYTES), asyncio.Event()
    monkeypatch.setattr(inventory, "_DROPPED", None)

    async def never(_count: int) -> None:
        has_begun.set()
        await asyncio.Event().wait()

    summing = asyncio.create_task(store.sum_up(stored.key, never))
    await has_begun.wait()
    assert len(open_files(tmp_path)) == 1
    summing.cancel()
    await asyncio.wait({summing})
    store._threads.close()  # which lets the store's jobs come to their end
    assert open_files(tmp_path) == []


async def test_a_disk_that_takes_no_advice_is_read_all_the_same(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(22, "no advice")

    stored = await put(store, BYTES)
    monkeypatch.setattr(os, "posix_fadvise", refuse)
    assert await store.sum_up(stored.key, at_any_pace) == stored


async def test_keys_alone_are_taken(store: DiskStore) -> None:
    wrong = "../../etc/passwd"
    for attempt in (
        store.leased([wrong]),
        store.measure(wrong),
        store.sum_up(wrong, at_any_pace),
        store.discard(wrong),
    ):
        with pytest.raises(ValueError, match="not a key"):
            await attempt


async def test_clients_do_not_reach_a_disk_by_themselves(store: DiskStore) -> None:
    assert not isinstance(store, DirectTargets)
