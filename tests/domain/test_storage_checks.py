"""Whatever is not as it should be is found, and nothing that is."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from db import quotas
from db.models import Blob, QuotaKind, UploadState
from db.quotas import Entry as Line
from domain import orphans, storage_comparison
from domain.backends import Backends
from domain.blobs import remove
from domain.files import purge_files
from domain.storage_checks import CheckTerms, check_storage
from domain.storage_findings import MAXIMUM_KEPT, Finding, FindingKind, Progress
from storage.keys import new_key
from storage.store import Entry, StoreError
from tests.domain.keeping import (
    LONG_AGO,
    NO_GRACE,
    Listener,
    checked,
    events_of,
    flip,
    kept,
    lying,
    mark,
    record_of,
    stored,
    told,
)
from tests.domain.receiving import Faulty, announced, changed, completed, now_of, piece
from tests.records import NOW
from tests.scenes import FACTS, Scene


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store of `backends` is."""
    return tmp_path / "data"


async def test_where_all_is_well_nothing_is_found(backends: Backends, scene: Scene) -> None:
    assert await checked(backends, repairs=True, digests=True) == []
    for number in range(5):
        await kept(backends, scene.people["owner"], b"x" * number)
    upload = await piece(backends, await announced(backends, scene))
    await completed(backends, scene, upload)
    await piece(backends, await announced(backends, scene, 20))
    writer = await backends.store.create(new_key())
    await writer.write(b"x" * 3_000_000)
    finished = await backends.store.create(new_key())
    leased = await finished.finish()
    assert await checked(backends, digests=True) == []
    assert await checked(backends, repairs=True) == []
    await writer.abandon()
    assert leased.size == 0


async def test_lost_and_changed_bytes_are_found_and_their_records_stay(
    backends: Backends, scene: Scene, folder: Path
) -> None:
    owner = scene.people["owner"]
    missing, short, flipped, fine = [await kept(backends, owner) for _ in range(4)]
    lying(folder, missing).unlink()
    lying(folder, short).write_bytes(b"a few")
    flip(folder, flipped)
    seen = {("MISSING", missing, False), ("SIZE_MISMATCH", short, False)}
    assert told(await checked(backends)) == seen
    assert told(await checked(backends, repairs=True, digests=True)) == seen | {("DIGEST_MISMATCH", flipped, False)}
    for key in (missing, short, flipped, fine):
        record = await record_of(backends, key)
        assert record is not None
        assert record.deleted_at is None
    damages = sorted(each["damage"] for each in await events_of(backends, "file.damaged"))
    assert damages == ["DIGEST", "MISSING", "SIZE"], "once each, however often they are found"


async def test_a_disk_that_is_away_is_not_taken_for_so_many_lost_files(
    backends: Backends, scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.storage_checks.MOST_MISSING", 3)
    keys = sorted([await kept(backends, scene.people["owner"]) for _ in range(5)])
    for key in (keys[0], keys[1], keys[3]):
        lying(folder, key).unlink()
    assert len(await checked(backends, digests=True)) == 3
    lying(folder, keys[2]).unlink()
    with pytest.raises(StoreError, match="is the disk there"):
        await checked(backends)
    assert len(await events_of(backends, "file.damaged")) == 4


async def test_what_is_whole_again_is_cleared_by_the_next_check(backends: Backends, scene: Scene, folder: Path) -> None:
    key = await kept(backends, scene.people["owner"])
    flip(folder, key)
    await checked(backends, digests=True)
    assert told(await checked(backends)) == {("DIGEST_MISMATCH", key, False)}, "what is damaged is always read"
    flip(folder, key)
    assert await checked(backends) == []
    record = await record_of(backends, key)
    assert record is not None
    assert record.damage is None
    assert len(await events_of(backends, "file.mended")) == 1


async def test_bytes_that_the_disk_cannot_read_are_found(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await kept(backends, scene.people["owner"])
    monkeypatch.setattr("os.pread", lambda *_: (_ for _ in ()).throw(OSError(5, "broken")))
    assert told(await checked(backends, digests=True)) == {("UNREADABLE", key, False)}
    monkeypatch.setattr("os.pread", lambda *_: (_ for _ in ()).throw(OSError(116, "stale")))
    with pytest.raises(StoreError):
        await checked(backends, digests=True)


async def test_orphans_are_removed_once_they_have_lain_there_for_long(
    backends: Backends, scene: Scene, folder: Path
) -> None:
    await kept(backends, scene.people["owner"])
    orphan, late = await stored(backends, b"nobody's"), await stored(backends, b"late")
    assert await checked(backends, repairs=True, grace=timedelta(days=1)) == []
    assert told(await checked(backends)) == {("ORPHANED", orphan, False), ("ORPHANED", late, False)}
    assert told(await checked(backends, repairs=True)) == {("ORPHANED", orphan, True), ("ORPHANED", late, True)}
    assert not lying(folder, orphan).exists()
    assert await checked(backends, repairs=True) == []
    # Whoever slept through all of it cannot commit a row for bytes that are gone.
    with pytest.raises(Exception, match="blobs"):
        async with backends.db.transaction() as tx:
            await tx.add(Blob(key=late, store="disk", size=4, digest="d", crc32=1, created_at=NOW))


async def test_a_database_that_knows_of_no_blob_has_none_removed(
    backends: Backends, scene: Scene, folder: Path
) -> None:
    assert scene.db is backends.db
    orphan, stray = await stored(backends, b"another's"), new_key()
    writer = await backends.store.extend(stray, 0)
    await writer.close()
    assert told(await checked(backends, repairs=True)) == {("ORPHANED", orphan, False), ("STRAY", stray, False)}
    assert lying(folder, orphan).exists()


async def test_what_is_claimed_meanwhile_is_no_orphan(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    owner = scene.people["owner"]
    await kept(backends, owner)
    late = await stored(backends, b"late")
    real = orphans.orphans_among

    async def then_claimed(asked: Backends, entries: list[Entry]) -> list[Entry]:
        found = await real(asked, entries)
        async with backends.db.transaction() as tx:
            await tx.add(Blob(key=late, store="disk", size=4, digest="d", crc32=1, created_at=NOW))
        return found

    monkeypatch.setattr(orphans, "orphans_among", then_claimed)
    assert told(await checked(backends, repairs=True)) == {("ORPHANED", late, False)}
    assert lying(folder, late).exists()
    claimed = await stored(backends, b"claimed")

    async def nothing_there(*_arguments: object) -> set[str]:
        return set()

    # Committed by another process in the very moment.
    monkeypatch.setattr(orphans, "_claimed", nothing_there)
    async with backends.db.transaction() as tx:
        await tx.add(Blob(key=claimed, store="disk", size=7, digest="d", crc32=1, created_at=NOW))
    assert not await orphans.remove_orphan(backends, claimed, NOW)
    assert lying(folder, claimed).exists()


async def test_an_upload_that_is_being_finished_is_no_orphan(backends: Backends, scene: Scene) -> None:
    await kept(backends, scene.people["owner"])
    upload = await piece(backends, await announced(backends, scene))
    await backends.store.finish(upload.blob_key, 11)
    assert await checked(backends, repairs=True) == []
    assert (await completed(backends, scene, upload)).state == UploadState.COMMITTED


async def test_bytes_of_no_upload_are_removed_and_those_of_uploads_stay(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    wanted, beside = await kept(backends, scene.people["owner"]), folder / "incoming"
    live = await piece(backends, await announced(backends, scene, 20))
    stray = new_key()
    for key in (stray, wanted):
        (beside / key).write_bytes(b"left behind")
    assert await checked(backends, repairs=True, grace=timedelta(days=1)) == []
    findings = {("STRAY", stray, True), ("STRAY", wanted, True)}
    assert told(await checked(backends)) == {(kind, key, False) for kind, key, _ in findings}
    assert told(await checked(backends, repairs=True)) == findings
    assert [path.name for path in beside.iterdir()] == [live.blob_key]
    assert lying(folder, wanted).exists()
    (beside / wanted).write_bytes(b"left behind")

    async def broken(_key: str) -> None:
        raise StoreError("broken")

    monkeypatch.setattr(backends.store, "discard", broken)
    assert told(await checked(backends, repairs=True)) == {("STRAY", wanted, False)}


async def test_what_was_to_be_removed_long_ago_is_removed(
    backends: Backends, scene: Scene, store: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, folder = scene.people["owner"], store._layout.folder
    left, fresh, gone, fenced = [await kept(backends, owner) for _ in range(4)]
    for key in (left, gone):
        await mark(backends, key, deleted_at=LONG_AGO)
    await mark(backends, fresh, deleted_at=NOW)
    await mark(backends, fenced, deleted_at=NOW + timedelta(days=1))
    lying(folder, gone).unlink()
    assert told(await checked(backends)) == {("UNPURGED", left, False)}
    store.failing = "delete"
    assert told(await checked(backends, repairs=True)) == {("UNPURGED", left, False)}
    store.failing = ""

    async def gone_meanwhile(_key: str) -> None:
        return None

    monkeypatch.setattr(store, "measure", gone_meanwhile)
    assert await checked(backends, repairs=True) == []
    monkeypatch.undo()
    async with backends.db.transaction() as tx:
        await tx.execute(update(Blob).where(col(Blob.key) == left).values(size=1))
    for version in ("DELETE FROM versions", "DELETE FROM files"):
        async with backends.db.transaction() as tx:
            await tx.execute(text(version))
    assert told(await checked(backends, repairs=True)) >= {("UNPURGED", left, True)}
    assert not lying(folder, left).exists()


async def test_uploads_that_should_have_ended_are_ended(backends: Backends, scene: Scene) -> None:
    live = await announced(backends, scene)
    overdue = await changed(scene.db, await announced(backends, scene, 20), expires_at=LONG_AGO)
    just = await changed(scene.db, await announced(backends, scene, 20), expires_at=scene.clock.now())
    verifying: dict[str, Any] = {"state": UploadState.VERIFYING, "updated_at": LONG_AGO}
    stuck = await changed(scene.db, await piece(backends, await announced(backends, scene)), **verifying)
    seen = {("STALE_UPLOAD", overdue.id.hex, False), ("STALE_UPLOAD", stuck.id.hex, False)}
    assert told(await checked(backends)) == seen
    assert told(await checked(backends, repairs=True)) == {(kind, subject, True) for kind, subject, _ in seen}
    assert (await now_of(scene.db, overdue)).state == UploadState.EXPIRED
    assert len(await scene.mails()) == 1, "a job verifies what was stuck"
    for upload in (live, just):
        assert (await now_of(scene.db, upload)).state == UploadState.OPEN


async def test_the_ledger_is_corrected_where_it_differs(backends: Backends, scene: Scene) -> None:
    owner = scene.people["owner"]
    await kept(backends, owner)
    async with scene.db.transaction() as tx:
        await quotas.post(tx, [Line(owner.workspace_id, QuotaKind.WORKSPACE, 7, 5, 1)])
        await quotas.post(tx, [Line(owner.id, QuotaKind.USER, 0, 3, 0)])
    seen = {("LEDGER_DIFFERENCE", each.hex, False) for each in (owner.workspace_id, owner.id)}
    assert told(await checked(backends)) == seen
    assert told(await checked(backends, repairs=True)) == {(kind, subject, True) for kind, subject, _ in seen}
    assert await checked(backends) == []


async def test_a_difference_that_is_gone_when_it_is_asked_again_is_none(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, real = scene.people["owner"], quotas.differences

    async def differing_at_first(rows: Any, owner_ids: Any = None) -> list[Line]:
        return await real(rows, owner_ids) if owner_ids else [Line(owner.id, QuotaKind.USER, 1, 0, 0)]

    monkeypatch.setattr(quotas, "differences", differing_at_first)
    assert await checked(backends, repairs=True) == []


async def test_a_file_that_is_purged_while_it_is_compared_is_not_missing(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    marked, purged, gone = [await kept(backends, scene.people["owner"], key=f"{number:032x}") for number in range(3)]
    real = backends.store.measure

    async def purged_meanwhile(key: str) -> int | None:
        await mark(backends, key, deleted_at=NOW)
        lying(folder, key).unlink()
        return await real(key)

    monkeypatch.setattr(backends.store, "measure", purged_meanwhile)
    assert await checked(backends, digests=True) == []
    assert {key for key in (marked, purged, gone) if lying(folder, key).exists()} == set()
    assert await events_of(backends, "file.damaged") == []


async def test_bytes_that_go_while_they_are_read_are_missing(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    key = await kept(backends, scene.people["owner"])
    real = backends.store.measure

    async def gone_meanwhile(asked: str) -> int | None:
        found = await real(asked)
        lying(folder, asked).unlink()
        return found

    monkeypatch.setattr(backends.store, "measure", gone_meanwhile)
    assert told(await checked(backends, digests=True)) == {("MISSING", key, False)}


async def test_blobs_of_another_store_are_passed_over(backends: Backends, scene: Scene, folder: Path) -> None:
    key = await kept(backends, scene.people["owner"])
    await mark(backends, key, store="elsewhere")
    lying(folder, key).unlink()
    assert await checked(backends, repairs=True, digests=True) == []


async def test_a_check_goes_on_where_another_ended(
    backends: Backends, scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_comparison, "BATCH", 2)
    owner = scene.people["owner"]
    keys = sorted([await kept(backends, owner) for _ in range(7)])
    orphan = await stored(backends, b"nobody's", "f" * 32)
    for key in (keys[1], keys[5]):
        lying(folder, key).unlink()

    class Dying(Listener):
        async def keep(self, progress: Progress) -> None:
            await super().keep(progress)
            if progress.position == keys[3]:
                raise TimeoutError

    progress, terms = Progress(), CheckTerms(repairs=False, digests=False, orphan_grace=NO_GRACE)
    first, second = Dying(), Listener()
    with pytest.raises(TimeoutError):
        await check_storage(backends, terms, progress, first)
    await check_storage(backends, terms, progress, second)
    assert told(first.findings) == {("MISSING", keys[1], False)}
    assert told(second.findings) == {("MISSING", keys[5], False), ("ORPHANED", orphan, False)}
    assert (progress.blobs_seen, progress.blobs_total, progress.stage) == (7, 7, 4)
    assert first.kept == [(0, key) for key in keys[:4]]
    assert second.kept[-4:] == [(1, ""), (2, ""), (3, ""), (4, "")]
    again = Listener()
    await check_storage(backends, terms, progress, again)
    assert again.kept == []


async def test_thousands_of_orphans_are_looked_at_together(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.storage_checks.BATCH", 3)
    await kept(backends, scene.people["owner"], key="0" * 32)
    keys = [await stored(backends, b"x" * number) for number in range(8)]
    assert {finding.subject for finding in await checked(backends)} == {*keys}


async def test_while_it_reads_it_says_how_far_it_has_come(backends: Backends, scene: Scene) -> None:
    await kept(backends, scene.people["owner"], b"x" * 3_000_000, "1" * 32)
    await stored(backends, b"x", "0" * 32)
    await kept(backends, scene.people["owner"], b"x" * 3_000_000, "2" * 32)
    listener, progress = Listener(), Progress()
    await check_storage(backends, CheckTerms(repairs=False, digests=True, orphan_grace=NO_GRACE), progress, listener)
    assert progress.bytes_hashed == 6_000_000
    listener, progress = Listener(), Progress(position="1" * 32)
    await check_storage(backends, CheckTerms(repairs=False, digests=True, orphan_grace=NO_GRACE), progress, listener)
    assert listener.kept[:4] == [(0, "1" * 32)] * 3 + [(0, "2" * 32)]


async def test_only_the_first_findings_are_kept_and_all_are_counted() -> None:
    progress = Progress()
    for number in range(MAXIMUM_KEPT + 5):
        progress.add(Finding(FindingKind.STRAY, f"{number}", "", is_repaired=number % 2 == 0))
    assert progress.counts == {"STRAY": [105, 53]}
    assert progress.left == 52
    assert len(progress.findings) == MAXIMUM_KEPT


@pytest.mark.parametrize("database_url", ["postgresql", "sqlite"], indirect=True)
async def test_beside_a_service_that_works_nothing_is_found(backends: Backends, scene: Scene) -> None:
    await kept(backends, scene.people["owner"])

    async def working() -> None:
        for _ in range(6):
            upload = await piece(backends, await announced(backends, scene))
            file_id = (await completed(backends, scene, upload)).file_id
            assert file_id is not None
            async with scene.db.transaction() as tx:
                purged = await purge_files(tx, scene.ports, scene.viewer("owner"), [file_id], FACTS)
            await remove(backends.db, backends.store, purged.blob_keys)

    async def checking() -> list[Finding]:
        return [finding for _ in range(10) for finding in await checked(backends, repairs=True, digests=True)]

    *_, found = await asyncio.gather(*(working() for _ in range(4)), checking())
    assert found == []
