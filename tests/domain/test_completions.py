"""Uploads that become files, and those that are cut short, lost or left alone on the way."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import delete, select
from sqlmodel import col
from uuid_utils.compat import uuid7

from db import uploads
from db.models import Blob, Job, Member, Upload, UploadState, UploadTransport
from db.rows import JobRow
from domain import concatenations, purges, upload_sweeps, workspaces
from domain.backends import Backends
from domain.completions import verify, verify_by_job
from domain.concatenations import concatenate
from domain.errors import InvalidInput, NotFound, Unavailable
from domain.pieces import Part
from domain.upload_ends import read
from domain.upload_errors import (
    UploadEnded,
)
from domain.upload_sessions import NewUpload, abort_upload
from domain.upload_sweeps import sweep_uploads
from domain.uploads import UploadIntent
from domain.workspaces import Deletion
from storage.store import StoreBusy
from tests.backstage import breaking
from tests.domain.receiving import Faulty, announced, changed, completed, is_exact, now_of, piece, sent, slow_to_verify
from tests.scenes import FACTS, Scene


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test asks for both."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@both
async def test_what_is_large_is_verified_by_a_job(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene, 2, UploadTransport.PARTS)
    upload = await sent(Part(backends, upload, 1, 2), b"ab")
    upload = await completed(slow_to_verify(backends), scene, upload)
    assert upload.state == UploadState.VERIFYING
    assert (await completed(backends, scene, upload)).state == UploadState.VERIFYING
    async with scene.db.reading() as rows:
        found = await rows.first(select(col(Job.id), col(Job.payload)))
    assert found is not None
    job = JobRow(found.id, "upload.verify", found.payload, 1, None)
    await verify_by_job(backends, job)
    done = await now_of(scene.db, upload)
    assert (done.state, done.reserved) == (UploadState.COMMITTED, 0)
    await verify_by_job(backends, job)
    assert (await completed(backends, scene, done)).file_id == done.file_id
    assert await is_exact(scene.db)


async def test_two_who_complete_at_once_make_one_file(scene: Scene, backends: Backends) -> None:
    upload = await piece(backends, await announced(backends, scene))
    found = await asyncio.gather(*(completed(backends, scene, upload) for _ in range(5)))
    assert {row.state for row in found} <= {UploadState.COMMITTED, UploadState.VERIFYING}
    assert (await now_of(scene.db, upload)).state == UploadState.COMMITTED
    assert await is_exact(scene.db)


async def test_two_who_verify_at_once_make_one_file_and_keep_its_bytes(
    scene: Scene, backends: Backends, store: Faulty
) -> None:
    upload = await piece(backends, await announced(backends, scene))
    upload = await changed(scene.db, upload, state=UploadState.VERIFYING)
    await asyncio.gather(*(verify(backends, scene.viewer("owner"), upload, FACTS) for _ in range(5)))
    late = await verify(backends, scene.viewer("owner"), upload, FACTS)
    assert late.state == UploadState.COMMITTED
    assert await store.first_bytes(upload.blob_key, 20) == b"hello world"
    assert await is_exact(scene.db)


async def test_a_store_that_fails_leaves_the_upload_to_be_completed_again(
    scene: Scene, backends: Backends, store: Faulty
) -> None:
    upload = await piece(backends, await announced(backends, scene))
    store.failing = "finish"
    with pytest.raises(Unavailable):
        await completed(backends, scene, upload)
    assert (await now_of(scene.db, upload)).state == UploadState.RECEIVING
    store.error = StoreBusy("somebody reads it")
    assert (await completed(backends, scene, upload)).state == UploadState.VERIFYING
    store.failing = ""
    done = await verify(backends, scene.viewer("owner"), await now_of(scene.db, upload), FACTS)
    assert done.state == UploadState.COMMITTED


async def test_bytes_that_somebody_has_for_a_moment_are_waited_for(
    scene: Scene, backends: Backends, store: Faulty
) -> None:
    upload = await piece(backends, await announced(backends, scene))
    store.failing, store.error, store.failures = "finish", StoreBusy("somebody looks how far it is"), 1
    assert (await completed(backends, scene, upload)).state == UploadState.COMMITTED


@both
async def test_a_database_that_fails_leaves_the_upload_to_be_completed_again(scene: Scene, backends: Backends) -> None:
    upload = await piece(backends, await announced(backends, scene))
    with breaking("SELECT uploads.id \nFROM uploads"), pytest.raises(ConnectionError):
        await completed(backends, scene, upload)
    upload = await now_of(scene.db, upload)
    assert upload.state == UploadState.RECEIVING
    assert (await completed(backends, scene, upload)).state == UploadState.COMMITTED
    assert await is_exact(scene.db)


async def test_bytes_that_the_disk_lost_are_asked_for_again(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    upload = await piece(backends, await announced(backends, scene))
    (tmp_path / "data/incoming" / upload.blob_key).write_bytes(b"hello")
    with pytest.raises(Unavailable):
        await completed(backends, scene, upload)
    upload = await now_of(scene.db, upload)
    assert (upload.state, upload.received) == (UploadState.RECEIVING, 5)
    upload = await piece(backends, upload, b" world")
    assert (await completed(backends, scene, upload)).state == UploadState.COMMITTED


async def test_an_upload_that_ends_while_it_is_verified_becomes_no_file(scene: Scene, backends: Backends) -> None:
    upload = await piece(backends, await announced(backends, scene))
    async with scene.db.transaction() as tx:
        await abort_upload(tx, backends.ports, scene.viewer("owner"), upload.id, FACTS)
    assert (await verify(backends, scene.viewer("owner"), upload, FACTS)).state == UploadState.ABORTED
    with pytest.raises(UploadEnded):
        await completed(backends, scene, await now_of(scene.db, upload))
    assert await is_exact(scene.db)


async def test_pieces_that_cannot_be_joined_are_kept(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    viewer = scene.viewer("owner")
    part = await changed(scene.db, await piece(backends, await announced(backends, scene)), is_partial=True)
    with pytest.raises(InvalidInput):
        await completed(backends, scene, part)
    new = NewUpload(UploadIntent(name="a.pdf", workspace_id=scene.workspace_id), UploadTransport.TUS)
    allowing = replace(backends.ports.policy, allowed_extensions=frozenset({"pdf"}))
    lenient = replace(backends, ports=replace(backends.ports, policy=allowing))
    rejected = await concatenate(lenient, viewer, new, [part.id], FACTS)
    assert (rejected.state, (await now_of(scene.db, part)).state) == (UploadState.REJECTED, UploadState.RECEIVING)
    (tmp_path / "data/incoming" / part.blob_key).unlink()
    with pytest.raises(Unavailable):
        await concatenate(lenient, viewer, new, [part.id], FACTS)
    async with scene.db.transaction() as tx:
        await abort_upload(tx, backends.ports, viewer, part.id, FACTS)
    async with scene.db.transaction() as tx:
        assert await concatenations._give_back(tx, [part]) == []
    await concatenations._end(backends, [part], FACTS)
    assert await is_exact(scene.db)


async def test_a_file_that_is_gone_gets_no_other_version(scene: Scene, backends: Backends) -> None:
    upload = await piece(backends, await announced(backends, scene))
    upload = await changed(scene.db, upload, replaces_id=upload.id)
    rejected = await completed(backends, scene, upload)
    assert rejected.state == UploadState.REJECTED
    assert isinstance(read(rejected.refusal or {}), NotFound)
    assert await is_exact(scene.db)


async def test_what_has_gone_on_since_it_was_found_is_left_alone(
    scene: Scene, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await announced(backends, scene)
    await upload_sweeps.expire(backends, upload.id, scene.clock.now())
    await upload_sweeps.verify_after_all(backends, upload.id, scene.clock.now())
    assert (await now_of(scene.db, upload)).state == UploadState.OPEN

    async def found(*_: object) -> list[UUID]:
        return [uuid7()]

    monkeypatch.setattr(uploads, "live_in", found)
    async with scene.db.transaction() as tx:
        assert await purges._abort_uploads(tx, backends.ports, scene.workspace_id) == []


@both
async def test_what_nobody_ends_expires(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    kept, left = await announced(backends, scene), await piece(backends, await announced(backends, scene), b"hello")
    later = scene.clock.now() + timedelta(hours=25)
    await changed(scene.db, kept, expires_at=later + timedelta(hours=1))
    await sweep_uploads(backends, later)
    assert (await now_of(scene.db, left)).state == UploadState.EXPIRED
    assert (await now_of(scene.db, kept)).state == UploadState.OPEN
    assert list((tmp_path / "data/incoming").iterdir()) == []
    async with scene.db.reading() as rows:
        assert await rows.scalar(select(col(Blob.key))) is None
    assert await is_exact(scene.db)
    await sweep_uploads(backends, scene.clock.now() + timedelta(days=9))
    async with scene.db.reading() as rows:
        assert await rows.all(select(col(Upload.id))) == []


async def test_what_was_cut_short_while_it_was_verified_is_verified_after_all(scene: Scene, backends: Backends) -> None:
    upload = await piece(backends, await announced(backends, scene))
    gone = await piece(backends, await announced(backends, scene))
    for each in (upload, gone):
        await changed(scene.db, each, state=UploadState.VERIFYING)
    later = scene.clock.now() + timedelta(minutes=6)
    await sweep_uploads(backends, later)
    async with scene.db.reading() as rows:
        assert len(await rows.all(select(col(Job.id)))) == 2
    async with scene.db.transaction() as tx:
        await tx.execute(delete(Member).where(col(Member.user_id) == scene.id("owner")))
    await sweep_uploads(backends, later)
    assert (await now_of(scene.db, gone)).state == UploadState.EXPIRED


async def test_a_deleted_workspace_takes_its_uploads_along(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    upload = await piece(backends, await announced(backends, scene), b"hello")
    async with scene.db.transaction() as tx:
        deletion = Deletion(scene.workspace_id)
        await workspaces.delete_workspace(tx, backends.ports, scene.viewer("owner"), deletion, FACTS)
    await purges.begin(backends, scene.workspace_id)
    async with scene.db.reading() as rows:
        assert await rows.all(select(col(Upload.id))) == []
    assert not (tmp_path / "data/incoming" / upload.blob_key).exists()
    assert await is_exact(scene.db)
