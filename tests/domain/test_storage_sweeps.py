"""What nobody wants goes by itself, and nothing else does."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col

from db.models import Blob, Event
from db.violations import Duplicate
from domain import orphans, storage_sweeps
from domain.backends import Backends
from domain.blobs import sweep
from domain.events import EventKind, Subject, event
from domain.storage_sweeps import sweep_orphans, sweep_strays, sweep_upload_events
from storage.keys import new_key
from storage.store import StoreError
from tests.domain.keeping import kept, lying, record_of, stored
from tests.domain.receiving import Faulty, announced, piece
from tests.scenes import FACTS, Scene

NONE, DAY = timedelta(0), timedelta(days=1)


async def test_bytes_that_no_record_names_are_removed_after_a_while(
    backends: Backends, scene: Scene, store: Faulty, tmp_path: Path
) -> None:
    orphan, other = await stored(backends, b"nobody's"), await stored(backends, b"nobody's")
    await sweep_orphans(backends, NONE, NONE)
    assert lying(tmp_path / "data", orphan).exists(), "a database that knows of no blob removes none"
    wanted = await kept(backends, scene.people["owner"])
    upload = await piece(backends, await announced(backends, scene))
    await backends.store.finish(upload.blob_key, 11)
    await sweep_orphans(backends, DAY, DAY)
    assert await record_of(backends, orphan) is None, "it is young"
    await sweep_orphans(backends, NONE, DAY)
    await sweep_orphans(backends, NONE, DAY)
    await sweep(scene.db, store, scene.clock.now())
    left = {path.name for path in (tmp_path / "data/blobs").rglob("*") if path.is_file()}
    assert left == {orphan, other, wanted, upload.blob_key}

    with pytest.raises(Duplicate):
        async with scene.db.transaction() as tx:
            await tx.add(Blob(key=orphan, store="disk", size=8, digest="d", crc32=1, created_at=scene.clock.now()))
    await sweep(scene.db, store, scene.clock.now() + DAY)
    assert {path.name for path in (tmp_path / "data/blobs").rglob("*") if path.is_file()} == {wanted, upload.blob_key}
    assert await record_of(backends, orphan) is None


async def test_what_is_claimed_in_the_very_moment_is_not_marked(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, orphan = await kept(backends, scene.people["owner"]), await stored(backends, b"nobody's")
    now = scene.clock.now()
    assert await orphans.mark_orphans(backends, [wanted], now, now) == []

    async def nothing_there(*_arguments: object) -> set[str]:
        return set()

    monkeypatch.setattr(orphans, "_claimed", nothing_there)
    assert await orphans.mark_orphans(backends, [wanted, orphan], now, now) == []
    assert await record_of(backends, orphan) is None


async def test_unfinished_bytes_of_no_upload_are_removed_after_a_while(
    backends: Backends, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = tmp_path / "data/incoming"
    (incoming / (early := new_key())).write_bytes(b"left behind")
    await sweep_strays(backends, NONE)
    assert (incoming / early).exists(), "a database that knows of no blob removes none"
    wanted = await kept(backends, scene.people["owner"])
    live = await piece(backends, await announced(backends, scene, 20))
    writer = await backends.store.create(leased := new_key())
    await writer.write(b"x" * 5_000_000)
    for key in (stray := new_key(), wanted):
        (incoming / key).write_bytes(b"left behind")
    await sweep_strays(backends, DAY)
    assert {path.name for path in incoming.iterdir()} >= {stray, wanted}
    await sweep_strays(backends, NONE)
    assert {path.name for path in incoming.iterdir()} <= {live.blob_key, leased}
    assert lying(tmp_path / "data", wanted).exists()
    await writer.abandon()
    (incoming / wanted).write_bytes(b"left behind")

    async def broken(_key: str) -> None:
        raise StoreError("broken")

    monkeypatch.setattr(backends.store, "discard", broken)
    await sweep_strays(backends, NONE)
    assert (incoming / wanted).exists()


async def test_old_events_of_uploads_are_forgotten_and_no_others(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_sweeps, "BATCH", 2)
    kinds = [*storage_sweeps._UPLOAD_EVENTS, EventKind.UPLOAD_ABORTED, EventKind.FILE_UPLOADED, EventKind.USER_CREATED]
    for now in (scene.clock.now() - DAY, scene.clock.now()):
        async with scene.db.transaction() as tx:
            await tx.add(*(event(kind, Subject(), FACTS, now) for kind in kinds))
    await sweep_upload_events(scene.db, scene.clock.now())
    async with scene.db.reading() as rows:
        left = [row.kind for row in await rows.all(select(col(Event.kind)).order_by(col(Event.id)))]
    assert left == [EventKind.FILE_UPLOADED, EventKind.USER_CREATED, *kinds]
