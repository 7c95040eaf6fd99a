import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from db.engine import Database
from db.models import Blob
from db.violations import Duplicate
from domain.blobs import FENCE, remove, sweep
from storage.disk import DiskStore
from storage.keys import new_key
from storage.store import StoreError
from tests.storage.blobs import leases_end, release

NOW = datetime.now(UTC)


async def put(store: DiskStore) -> str:
    """Bytes that are finished and still leased."""
    key = new_key()
    writer = await store.create(key)
    await writer.write(b"some bytes")
    await writer.finish()
    return key


def blob(key: str, deleted_at: datetime | None = None) -> Blob:
    return Blob(key=key, store="disk", size=10, digest="d", crc32=1, created_at=NOW, deleted_at=deleted_at)


class Stubborn(DiskStore):
    """A store that cannot remove one of its blobs."""

    stuck = ""

    async def delete(self, key: str) -> None:
        if key == self.stuck:
            raise StoreError("input/output error")
        await super().delete(key)


async def commit(db: Database, key: str) -> None:
    async with db.transaction() as tx:
        await tx.add(blob(key))


async def keys_in(db: Database) -> set[str]:
    async with db.reading() as rows:
        return {key for (key,) in await rows.all(select(col(Blob.key)))}


def names_below(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and "cairn" not in path.name}


async def test_a_sweep_settles_what_dead_processes_left_and_leaves_the_living_alone(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    db, dead = Database(database_url), DiskStore(folder, floor_bytes=0, lease_seconds=0)
    await dead.open()
    committed, orphaned, purged, kept = [await put(dead) for _ in range(4)]
    await release(dead, kept)
    slow = DiskStore(folder, floor_bytes=0, lease_seconds=3600)
    await slow.open()
    half = await slow.create(half_key := new_key())
    await half.write(b"x" * 5_000_000)
    async with db.transaction() as tx:
        await tx.add(blob(committed), blob(purged, deleted_at=NOW), blob(kept))
    await asyncio.sleep(0.01)

    await sweep(db, slow, NOW)
    assert {orphaned, half_key} <= names_below(folder), "a leased key is somebody's"
    assert purged not in names_below(folder)
    assert await keys_in(db) == {committed, kept}

    await sweep(db, dead, NOW)
    assert names_below(folder) == {committed, kept}
    with pytest.raises(Duplicate):
        await commit(db, orphaned)
    await sweep(db, dead, NOW + FENCE)
    assert await keys_in(db) == {committed, kept}
    assert await leases_end(dead, {committed, kept, orphaned, purged})
    for key in (committed, kept):
        assert b"".join([piece async for piece in dead.read(key)]) == b"some bytes"
    await half.abandon()
    for closing in (dead, slow, db):
        await closing.close()


async def test_a_lease_of_bytes_that_a_row_points_at_is_ended(database_url: str, tmp_path: Path) -> None:
    db, store = Database(database_url), DiskStore(tmp_path / "store", floor_bytes=0, lease_seconds=0)
    await store.open()
    await commit(db, committed := await put(store))
    await asyncio.sleep(0.01)
    assert await store.expired_leases() == [committed]
    await sweep(db, store, NOW)
    assert await leases_end(store, [committed])
    assert names_below(tmp_path / "store") == {committed}
    for closing in (store, db):
        await closing.close()


async def test_what_cannot_be_removed_keeps_nothing_else_from_being_removed(database_url: str, tmp_path: Path) -> None:
    db, store = Database(database_url), Stubborn(tmp_path / "store", floor_bytes=0, lease_seconds=0)
    await store.open()
    stuck, purged, orphaned = [await put(store) for _ in range(3)]
    store.stuck = stuck
    async with db.transaction() as tx:
        await tx.add(blob(stuck, deleted_at=NOW), blob(purged, deleted_at=NOW))
    await asyncio.sleep(0.01)
    await sweep(db, store, NOW)
    assert await keys_in(db) == {stuck, orphaned}
    assert names_below(tmp_path / "store") == {stuck}
    store.stuck = ""
    await sweep(db, store, NOW)
    assert await keys_in(db) == {orphaned}
    assert names_below(tmp_path / "store") == set()
    for closing in (store, db):
        await closing.close()


async def test_removing_takes_bytes_and_rows_of_marked_blobs_only(database_url: str, tmp_path: Path) -> None:
    db, store = Database(database_url), DiskStore(tmp_path / "store", floor_bytes=0, lease_seconds=60)
    await store.open()
    marked, wanted = await put(store), await put(store)
    async with db.transaction() as tx:
        await tx.add(blob(marked, deleted_at=NOW), blob(wanted))
    await remove(db, store, [marked])
    await remove(db, store, [marked])
    await remove(db, store, [])
    assert await keys_in(db) == {wanted}
    for closing in (store, db):
        await closing.close()
