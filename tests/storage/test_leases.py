"""Leases last as long as somebody in a living process cares, and run out after that."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from storage.disk import DiskStore
from storage.keys import new_key
from tests.machine import comes_true
from tests.storage.blobs import BYTES, put

SECONDS = 0.8


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[list[DiskStore]]:
    """Two stores on one folder, as two processes have them."""
    async with AsyncExitStack() as closing:
        opened = []
        for _ in range(2):
            store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=SECONDS)
            await store.open()
            closing.push_async_callback(store.close)
            opened.append(store)
        yield opened


async def expires(store: DiskStore, keys: list[str]) -> bool:
    """Whether exactly these keys expire within a few lease times."""
    for _ in range(60):
        if sorted(await store.expired_leases()) == sorted(keys):
            return True
        await asyncio.sleep(SECONDS / 8)
    return False


async def test_a_silent_sender_keeps_its_lease(stores: list[DiskStore]) -> None:
    mine, other = stores
    writer = await mine.create(new_key())
    await writer.write(BYTES)
    await writer.write(BYTES)
    await asyncio.sleep(SECONDS * 2)
    assert await other.expired_leases() == []
    assert await mine.expired_leases() == []
    await writer.abandon()


async def test_a_finished_blob_keeps_its_lease_while_its_row_is_awaited(stores: list[DiskStore]) -> None:
    mine, other = stores
    stored = await put(mine, b"abc")
    await asyncio.sleep(SECONDS * 2)
    assert await other.expired_leases() == []
    await mine.release(stored.key)
    await asyncio.sleep(SECONDS * 2)
    assert await other.expired_leases() == []


async def test_the_lease_of_a_forgotten_blob_runs_out(tmp_path: Path, stores: list[DiskStore]) -> None:
    mine, other = stores
    key = (await put(mine, b"abc")).key
    assert await expires(other, [key])
    assert await mine.expired_leases() == [key]
    await other.release(key)
    assert await comes_true(lambda: not (tmp_path / "leases" / key).exists())
    assert await mine.expired_leases() == []


async def test_a_forgotten_writer_lets_go_of_its_file_and_its_lease(stores: list[DiskStore]) -> None:
    mine, other = stores
    key = new_key()
    writer = await mine.create(key)
    await writer.write(BYTES)
    await asyncio.sleep(SECONDS / 4)
    forgotten = [writer]
    del writer
    with pytest.warns(ResourceWarning, match="unclosed file"):
        forgotten.clear()
    assert await expires(other, [key])
    await other.delete(key)
    assert await mine.expired_leases() == []


async def test_the_leases_of_a_closed_store_run_out(tmp_path: Path, stores: list[DiskStore]) -> None:
    dying = DiskStore(tmp_path, floor_bytes=0, lease_seconds=SECONDS)
    await dying.open()
    stored = await put(dying, b"abc")
    await dying.close()
    assert await expires(stores[0], [stored.key])


async def test_only_keys_are_expired_leases(tmp_path: Path, stores: list[DiskStore]) -> None:
    key, gone = new_key(), new_key()
    for name in (key, "README", f"{key}.swp", ".nfs0001"):
        (tmp_path / "leases" / name).write_bytes(b"")
        os.utime(tmp_path / "leases" / name, (0, 0))
    # As a lease looks that is ended between the listing of the folder and the look at it.
    (tmp_path / "leases" / gone).symlink_to("nowhere")
    assert await stores[0].expired_leases() == [key]


async def test_the_age_of_a_lease_does_not_hang_on_the_clock_of_this_machine(
    tmp_path: Path, stores: list[DiskStore]
) -> None:
    key = new_key()
    lease = tmp_path / "leases" / key
    lease.write_bytes(b"")
    present = time.time()
    os.utime(lease, (present, present - SECONDS / 2))
    assert await stores[0].expired_leases() == []
    os.utime(lease, (present, present - SECONDS * 2))
    assert await stores[0].expired_leases() == [key]


async def test_a_renewal_that_fails_is_told_and_tried_again(
    tmp_path: Path, stores: list[DiskStore], caplog: pytest.LogCaptureFixture
) -> None:
    mine, other = stores
    stored = await put(mine, b"abc")
    lease = tmp_path / "leases" / stored.key
    lease.unlink()
    lease.symlink_to(lease)  # cannot be renewed: it leads to itself
    with caplog.at_level(logging.ERROR, "storage.disk"):
        await asyncio.sleep(SECONDS)
    assert "leases could not be renewed" in caplog.messages
    lease.unlink()
    lease.write_bytes(b"")
    await asyncio.sleep(SECONDS * 2)
    assert await other.expired_leases() == []
    await mine.release(stored.key)


async def test_a_lease_that_is_gone_is_not_made_again(tmp_path: Path, stores: list[DiskStore]) -> None:
    stored = await put(stores[0], b"abc")
    (tmp_path / "leases" / stored.key).unlink()
    await asyncio.sleep(SECONDS)
    assert list((tmp_path / "leases").iterdir()) == []
    assert stored.size == 3
