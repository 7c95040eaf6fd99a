"""Writers end in one of two ways, whenever and however they are interrupted: all of the blob, or nothing."""

import asyncio
import os
import threading
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from storage import gathering
from storage.disk import DiskStore
from storage.keys import new_key
from storage.store import Stored, StoreError
from storage.writers import DiskWriter
from tests.machine import PATIENCE_SECONDS, wait_for
from tests.storage.blobs import BYTES, MIB, files_below, get, open_files, put, sums, sums_of


class Gate:
    """Syncs that wait until they may."""

    def __init__(self) -> None:
        self.is_reached = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def __call__(self, descriptor: int) -> None:
        self.is_reached.set()
        assert self.may_go_on.wait(10)
        os.fsync(descriptor)

    def shut(self) -> None:
        self.is_reached.clear()
        self.may_go_on.clear()

    async def reached(self) -> None:
        await asyncio.to_thread(self.is_reached.wait, 10)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def store(tmp_path: Path, gate: Gate) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60, sync=gate)
    await opened.open()
    yield opened
    await opened.close()


async def empties(folder: Path) -> bool:
    for _ in range(200):
        if not files_below(folder) and not open_files(folder):
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("steps", range(24))
@pytest.mark.parametrize("size", [100, len(BYTES)])
async def test_cancelled_anywhere_all_is_there_or_nothing(
    tmp_path: Path, store: DiskStore, size: int, steps: int
) -> None:
    """The task is cancelled after so many turns of the event loop; between turns the threads get on a little."""
    uploading = asyncio.create_task(put(store, BYTES[:size], piece=MIB))
    for step in range(steps):
        await asyncio.sleep(0.0002 * (step % 3))
    uploading.cancel()
    await asyncio.wait({uploading})
    if uploading.cancelled():
        assert files_below(tmp_path) == []
        assert open_files(tmp_path) == []
    else:
        assert await get(store, uploading.result().key) == BYTES[:size]


@pytest.mark.parametrize("size", [100, len(BYTES)])
async def test_a_cancelled_finish_waits_for_its_job_before_it_removes(
    tmp_path: Path, store: DiskStore, gate: Gate, size: int
) -> None:
    gate.shut()
    writer = await store.create(new_key())
    await writer.write(BYTES[:size])
    finishing = asyncio.create_task(writer.finish())
    await gate.reached()
    finishing.cancel()
    abandoning = asyncio.create_task(writer.abandon())
    _, pending = await asyncio.wait({finishing, abandoning}, timeout=0.05)
    assert pending == {finishing, abandoning}
    assert len(files_below(tmp_path)) == 1
    gate.may_go_on.set()
    await abandoning
    assert files_below(tmp_path) == []
    with pytest.raises(asyncio.CancelledError):
        await finishing


async def test_one_that_is_abandoned_while_it_asks_for_room_is_not_settled(tmp_path: Path, store: DiskStore) -> None:
    writer = await store.create(new_key())
    await writer.write(b"abc")
    store._room._measured_at = 0  # what was measured is old
    finishing = asyncio.create_task(writer.finish())
    await asyncio.sleep(0)
    await writer.abandon()
    with pytest.raises(StoreError, match="abandoned"):
        await finishing
    assert files_below(tmp_path) == []


async def test_where_even_the_removal_is_cancelled_it_happens(tmp_path: Path, store: DiskStore, gate: Gate) -> None:
    """In a cancelled scope of anyio every further await is cancelled as well."""
    gate.shut()
    with anyio.move_on_after(0.05) as scope:
        await put(store, BYTES)
    assert scope.cancelled_caught
    gate.may_go_on.set()
    assert await empties(tmp_path)


async def test_abandoning_may_be_cancelled_and_happens(tmp_path: Path, store: DiskStore, gate: Gate) -> None:
    writer = await store.create(new_key())
    await writer.write(BYTES)
    gate.shut()
    finishing = asyncio.create_task(writer.finish())
    await gate.reached()
    abandoning = asyncio.create_task(writer.abandon())
    await asyncio.sleep(0)
    abandoning.cancel()
    await asyncio.wait({abandoning})
    assert abandoning.cancelled()
    gate.may_go_on.set()
    await writer.abandon()
    assert await empties(tmp_path)
    assert isinstance((await asyncio.gather(finishing, return_exceptions=True))[0], Stored), "it was done by then"


async def test_a_writer_that_is_abandoned_by_another_task_takes_no_more(tmp_path: Path, store: DiskStore) -> None:
    writer = await store.create(new_key())

    async def send() -> None:
        while True:
            await writer.write(BYTES)

    sending = asyncio.create_task(send())
    await asyncio.sleep(0.02)
    await writer.abandon()
    with pytest.raises(StoreError):
        await sending
    assert await empties(tmp_path)


async def test_a_failure_in_the_background_is_told_by_the_next_call_and_removed(
    tmp_path: Path, store: DiskStore
) -> None:
    key = new_key()
    (tmp_path / "leases" / key).write_bytes(b"")
    writer = await store.create(key)
    await writer.write(BYTES)
    with pytest.raises(StoreError):
        await writer.write(BYTES)
    with pytest.raises(StoreError, match="finished or abandoned"):
        await writer.write(b"")
    assert files_below(tmp_path) == [f"leases/{key}"], "which is another's"


async def test_where_removing_fails_too_the_first_failure_is_told(tmp_path: Path, store: DiskStore, gate: Gate) -> None:
    key = new_key()
    gate.shut()
    writer = await store.create(key)
    finishing = asyncio.create_task(writer.finish())
    await gate.reached()
    # What is to be linked is a folder now, and so is what is to be removed; and its place is taken.
    (tmp_path / "leases" / key).unlink()
    (tmp_path / "leases" / key / "full").mkdir(parents=True)
    (tmp_path / "blobs" / key[:2]).mkdir()
    (tmp_path / "blobs" / key[:2] / key).write_bytes(b"")
    gate.may_go_on.set()
    with pytest.raises(StoreError, match="File exists"):
        await finishing
    assert (tmp_path / "leases" / key).exists(), "a sweep will find it"


async def test_small_blobs_touch_the_disk_in_one_go(tmp_path: Path, store: DiskStore) -> None:
    writer = await store.create(new_key())
    for _ in range(16):
        await writer.write(BYTES[: 4 << 10])
    await asyncio.sleep(0.02)
    assert files_below(tmp_path) == []
    await writer.finish()
    assert len(files_below(tmp_path)) == 2


async def test_a_writer_waits_for_the_disk(tmp_path: Path, store: DiskStore) -> None:
    """Its first job waits behind others; with one piece in flight and one gathered, it takes no third."""
    writer = await store.create(new_key())
    go_on = threading.Event()
    waiting = [store._threads.start(go_on.wait, 10) for _ in range(8)]
    await writer.write(BYTES)
    second = asyncio.create_task(writer.write(BYTES))
    _, pending = await asyncio.wait({second}, timeout=0.05)
    assert pending
    go_on.set()
    await second
    assert sums_of(await writer.finish()) == sums(2 * BYTES)
    assert await asyncio.gather(*waiting) == [True] * 8
    assert len(files_below(tmp_path)) == 2


async def test_what_comes_slowly_does_not_wait_for_more(
    tmp_path: Path, store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = await store.create(new_key())
    await writer.write(BYTES[:MIB])
    assert files_below(tmp_path) == []
    monkeypatch.setattr(gathering, "_LONGEST_SECONDS", 0.0)
    await writer.write(BYTES[MIB : MIB + 1])
    assert await asyncio.to_thread(wait_for, lambda: files_below(tmp_path) != [], PATIENCE_SECONDS)
    assert sums_of(await writer.finish()) == sums(BYTES[: MIB + 1])


@pytest.mark.parametrize("piece", [1000, 64 << 10])
async def test_fifty_writers_at_once_share_the_memory_of_few(store: DiskStore, piece: int) -> None:
    async def send(writer: DiskWriter) -> None:
        for _ in range(0, 2 * MIB, piece):
            # Fresh bytes, as a socket gives them.
            await writer.write(bytes(piece))
        await writer.finish()

    writers = [await store.create(new_key()) for _ in range(50)]
    tracemalloc.start()
    try:
        await asyncio.gather(*map(send, writers))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 48 * MIB


async def test_closing_lets_what_was_begun_come_to_its_end(tmp_path: Path, store: DiskStore) -> None:
    closing = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await closing.open()
    writer = await closing.create(new_key())
    await writer.write(b"abc")
    finishing = asyncio.create_task(writer.finish())
    await asyncio.sleep(0)
    await closing.close()
    stored = await finishing
    assert await get(store, stored.key) == b"abc"


async def test_a_closed_store_does_nothing(tmp_path: Path) -> None:
    closed = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await closed.open()
    stored = await put(closed, b"abc")
    writer = await closed.create(new_key())
    await closed.close()
    with pytest.raises(StoreError, match="closed"):
        await writer.finish()
    with pytest.raises(StoreError, match="closed"):
        await get(closed, stored.key)
    assert len(files_below(tmp_path)) == 2


async def test_a_store_that_never_opened_closes(tmp_path: Path) -> None:
    await DiskStore(tmp_path, floor_bytes=0, lease_seconds=60).close()
    assert list(tmp_path.iterdir()) == []
