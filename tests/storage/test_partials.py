"""The contract of stores that keep bytes which come in several requests."""

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import appending, locks
from storage.disk import DiskStore
from storage.keys import new_key
from storage.store import BlobMissing, Partials, PartialWriter, StoreBusy, StoreError, StoreFull, WrongPosition
from storage.sums import Sums
from tests.machine import wait_for
from tests.storage.blobs import BYTES, MIB, files_below, get, open_files, sums, sums_of

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path / "store", floor_bytes=0, lease_seconds=60)
    await opened.open()
    yield opened
    await opened.close()


async def extended(store: Partials, key: str, position: int, data: bytes, piece: int = 100_000) -> int:
    return await written(await store.extend(key, position), data, piece)


async def written(writer: PartialWriter, data: bytes, piece: int = 100_000) -> int:
    for at in range(0, len(data), piece):
        await writer.write(data[at : at + piece])
    return await writer.close()


async def test_a_store_on_disk_keeps_partial_blobs(disk: DiskStore) -> None:
    assert isinstance(disk, Partials)


async def test_bytes_of_several_requests_become_a_blob(disk: DiskStore) -> None:
    key, middle = new_key(), MIB + 7
    assert await disk.reach(key) == 0
    assert await extended(disk, key, 0, BYTES[:middle]) == middle
    assert await disk.reach(key) == middle
    assert await extended(disk, key, middle, BYTES[middle:]) == len(BYTES)
    assert disk.is_summed(key, len(BYTES))
    assert await disk.first_bytes(key, 10) == BYTES[:10]
    stored = await disk.finish(key, len(BYTES))
    assert sums_of(stored) == sums(BYTES)
    assert await get(disk, key) == BYTES
    assert await disk.reach(key) == len(BYTES)
    assert await disk.first_bytes(key, 10) == BYTES[:10]
    assert sums_of(await disk.finish(key, len(BYTES))) == sums(BYTES)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 300_000), max_size=8), st.booleans())
async def test_it_does_not_matter_how_they_are_cut_nor_who_remembers(
    disk: DiskStore,
    cuts: list[int],
    is_forgotten: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    key, at = new_key(), 0
    for cut in cuts:
        at = await extended(disk, key, at, BYTES[at : at + cut])
        if is_forgotten:
            disk._partials.sums = Sums()
    assert sums_of(await disk.finish(key, at)) == sums(BYTES[:at])
    await disk.delete(key)


async def test_nothing_at_all_becomes_an_empty_blob(disk: DiskStore) -> None:
    key = new_key()
    assert sums_of(await disk.finish(key, 0)) == sums(b"")
    assert sums_of(await disk.finish(key, 0)) == sums(b"")


async def test_writing_goes_on_where_the_bytes_end_and_nowhere_else(disk: DiskStore) -> None:
    key = new_key()
    for position in (1, 100):
        with pytest.raises(WrongPosition) as wrong:
            await disk.extend(key, position)
        assert wrong.value.reach == 0
    await extended(disk, key, 0, b"12345")
    for position in (0, 4, 6):
        with pytest.raises(WrongPosition) as wrong:
            await disk.extend(key, position)
        assert wrong.value.reach == 5
    with pytest.raises(WrongPosition):
        await disk.finish(key, 4)
    await disk.finish(key, 5)
    with pytest.raises(WrongPosition):
        await disk.finish(key, 6)
    for position in (0, 3, 5):
        with pytest.raises(WrongPosition):
            await disk.extend(key, position)
    with pytest.raises(WrongPosition):
        await disk.place(key, 0, 5)
    with pytest.raises(WrongPosition):
        await disk.join(key, [])


async def test_two_do_not_write_at_once(disk: DiskStore) -> None:
    key = new_key()
    writer = await disk.extend(key, 0)
    await writer.write(b"a")
    assert writer.position == 1
    for attempt in (disk.extend(key, 0), disk.place(key, 0, 1), disk.finish(key, 0), disk.join(key, [])):
        with pytest.raises(StoreBusy):
            await attempt
    assert await writer.close() == 1
    assert await writer.close() == 1
    with pytest.raises(StoreError):
        await writer.write(b"b")
    assert await extended(disk, key, 1, b"b") == 2


async def test_it_is_known_whether_somebody_goes_on_with_a_partial_blob(disk: DiskStore) -> None:
    key = new_key()
    assert not await disk.is_extended(key)
    for position in (0, 1):
        writer = await disk.extend(key, position)
        assert await asyncio.gather(*(disk.is_extended(key) for _ in range(5))) == [True] * 5
        await writer.write(b"a")
        await writer.close()
        assert await asyncio.gather(*(disk.is_extended(key) for _ in range(5))) == [False] * 5
    await disk.finish(key, 2)
    assert not await disk.is_extended(key)


async def test_parts_come_together_in_any_order(disk: DiskStore) -> None:
    key, size = new_key(), MIB
    places = [(at, BYTES[at : at + size]) for at in (2 * size, 0, 3 * size, size)]
    writers = [await disk.place(key, at, size) for at, _ in places]
    with pytest.raises(StoreBusy):
        await disk.place(key, size, size)
    with pytest.raises(StoreBusy):
        await disk.extend(key, 0)
    ends = await asyncio.gather(*(written(writer, data) for writer, (_, data) in zip(writers, places, strict=True)))
    assert ends == [at + size for at, _ in places]
    assert not disk.is_summed(key, 4 * size)
    assert sums_of(await disk.finish(key, 4 * size)) == sums(BYTES)


async def test_a_part_keeps_to_its_place(disk: DiskStore) -> None:
    key = new_key()
    writer = await disk.place(key, 10, 5)
    assert await written(writer, b"123456") == 10
    writer = await disk.place(key, 10, 5)
    assert await written(writer, b"12345") == 15


async def test_what_was_written_can_be_taken_back(disk: DiskStore) -> None:
    key = new_key()
    await extended(disk, key, 0, b"12345")
    writer = await disk.extend(key, 5)
    await writer.write(b"wrong")
    assert await writer.close(5) == 5
    assert await extended(disk, key, 5, b"678") == 8
    assert sums_of(await disk.finish(key, 8)) == sums(b"12345678")


async def test_partial_blobs_are_joined(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, whole = new_key(), new_key(), new_key()
    await extended(disk, first, 0, BYTES[:MIB])
    await extended(disk, second, 0, BYTES[MIB : 3 * MIB])
    assert await disk.join(whole, [first, second]) == 3 * MIB

    def unsupported(*_arguments: object) -> int:
        raise OSError(18, "another file system")

    monkeypatch.setattr(os, "copy_file_range", unsupported)
    assert await disk.join(whole, [first, second, first]) == 4 * MIB
    assert sums_of(await disk.finish(whole, 4 * MIB)) == sums(BYTES[: 3 * MIB] + BYTES[:MIB])
    with pytest.raises(BlobMissing):
        await disk.join(new_key(), [new_key()])


async def test_what_is_deleted_does_not_come_back(disk: DiskStore, tmp_path: Path) -> None:
    key = new_key()
    writer = await disk.extend(key, 0)
    await writer.write(BYTES[:200_000])
    await disk.delete(key)
    await writer.write(BYTES[:200_000])
    await writer.close()
    assert files_below(tmp_path / "store") == []
    assert await disk.reach(key) == 0
    with pytest.raises(BlobMissing):
        await disk.first_bytes(key, 1)


async def test_no_file_stays_open_between_requests(disk: DiskStore, tmp_path: Path) -> None:
    keys = [new_key() for _ in range(5)]
    for key in keys:
        await extended(disk, key, 0, b"12345")
        with pytest.raises(WrongPosition):
            await disk.extend(key, 1)
    assert open_files(tmp_path / "store") == []


async def test_keys_alone_are_taken(disk: DiskStore) -> None:
    wrong = "../../etc/passwd"
    for attempt in (
        disk.extend(wrong, 0),
        disk.place(wrong, 0, 1),
        disk.reach(wrong),
        disk.join(new_key(), [wrong]),
        disk.first_bytes(wrong, 1),
        disk.finish(wrong, 0),
    ):
        with pytest.raises(ValueError, match="not a key"):
            await attempt


async def test_a_full_disk_keeps_what_came_before(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    key = new_key()
    await extended(disk, key, 0, BYTES[:MIB])
    writer = await disk.extend(key, MIB)
    real = os.pwritev

    def full(descriptor: int, buffers: Any, offset: int) -> int:
        if offset >= MIB:
            raise OSError(28, "no space")
        return real(descriptor, buffers, offset)

    monkeypatch.setattr(os, "pwritev", full)
    await writer.write(BYTES)
    with pytest.raises(StoreFull):
        await writer.write(BYTES)
    assert await writer.close() == MIB
    monkeypatch.undo()
    assert await extended(disk, key, MIB, BYTES[MIB:]) == len(BYTES)
    assert sums_of(await disk.finish(key, len(BYTES))) == sums(BYTES)


async def test_after_a_failed_write_nothing_is_written_behind_the_gap(
    disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    writer = await disk.extend(key, 0)
    growth = writer._growth
    monkeypatch.setattr(os, "pwritev", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
    with pytest.raises(OSError, match="broken"):
        growth.append([b"first"])
    monkeypatch.undo()
    with pytest.raises(StoreError):
        growth.append([b"second"])
    assert await writer.close() == 0


async def test_a_short_write_is_written_to_its_end(disk: DiskStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwritev

    def short(descriptor: int, buffers: Any, offset: int) -> int:
        return real(descriptor, [bytes(buffers[0])[:1000]], offset)

    monkeypatch.setattr(os, "pwritev", short)
    key = new_key()
    assert await extended(disk, key, 0, BYTES[:10_000]) == 10_000
    assert sums_of(await disk.finish(key, 10_000)) == sums(BYTES[:10_000])


async def test_bytes_are_given_to_the_disk_early_where_it_takes_advice(
    disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    advised: list[tuple[int, int]] = []
    monkeypatch.setattr(appending, "_HURRY_BYTES", MIB)
    monkeypatch.setattr(os, "posix_fadvise", lambda _, at, size, __: advised.append((at, size)))
    await extended(disk, new_key(), 0, BYTES)
    assert sum(size for _, size in advised) >= 3 * MIB
    monkeypatch.setattr(appending, "_FLUSHED", None)
    advised.clear()
    await extended(disk, new_key(), 0, BYTES)
    assert advised == []


async def test_it_may_be_moved_or_removed_between_opening_and_locking(
    disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    await extended(disk, key, 0, b"12345")
    real = locks._lock

    def removed_first(file: io.FileIO, kind: int) -> None:
        disk._layout.remove(key)
        real(file, kind)

    monkeypatch.setattr(locks, "_lock", removed_first)
    with pytest.raises(StoreBusy):
        await disk.extend(key, 5)
    await_place = disk.place(key, 0, 5)
    with pytest.raises(StoreBusy):
        await await_place
    monkeypatch.undo()
    await extended(disk, key, 0, b"12345")
    monkeypatch.setattr(locks, "_lock", removed_first)
    with pytest.raises(WrongPosition):
        await disk.finish(key, 5)


async def test_where_there_are_no_locks_of_ranges_parts_are_taken_all_the_same(
    disk: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_RANGE_LOCK", None)
    assert await written(await disk.place(new_key(), 0, 5), b"12345") == 5


EXTENDING = """
import asyncio, sys
from pathlib import Path
from storage.disk import DiskStore
from tests.storage.blobs import BYTES

async def main():
    store = DiskStore(Path(sys.argv[1]), floor_bytes=0, lease_seconds=60)
    await store.open()
    writer = await store.extend(sys.argv[2], 0)
    for at in range(0, 2 * len(BYTES), 65536):
        await writer.write((2 * BYTES)[at : at + 65536])
    print("sent", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_another_process_waits_and_goes_on_after_kill_9(disk: DiskStore, tmp_path: Path) -> None:
    key = new_key()
    command = [sys.executable, "-c", EXTENDING, str(tmp_path / "store"), key]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        assert process.stdout.readline() == b"sent\n"
        with pytest.raises(StoreBusy):
            await disk.extend(key, 0)
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: process.poll() is not None, 10)
    reach = await disk.reach(key)
    whole = 2 * BYTES
    assert len(BYTES) <= reach <= len(whole)
    assert await extended(disk, key, reach, whole[reach:]) == len(whole)
    assert sums_of(await disk.finish(key, len(whole))) == sums(whole)
