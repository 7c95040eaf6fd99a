"""Uploads of one request that can be watched: a row for each, whatever becomes of its request."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlmodel import col
from uuid_utils.compat import uuid7

from db import uploads
from db.models import Blob, UploadState
from db.models import Upload as Row
from db.rows import FileRow, UploadRow
from domain import watched_uploads
from domain.backends import Backends
from domain.completions import complete_upload
from domain.errors import DigestMismatch, FileTooLarge, InvalidInput, MediaTypeNotAllowed, Refusal, Unavailable
from domain.new_files import Upload
from domain.rates import Allowance
from domain.upload_ends import read
from domain.upload_errors import QuotaExceeded, TooManyUploads, UploadEnded
from domain.upload_sessions import abort_upload
from domain.upload_sweeps import STUCK_AFTER, sweep_uploads
from domain.uploads import Admission, Received, Receiver
from domain.watched_uploads import LIFETIME, WatchedReceiver, drop, store_files
from tests.domain.receiving import Faulty, is_exact
from tests.records import Tally
from tests.scenes import FACTS, Scene

CONTENT = b"hello world"


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test asks for both."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


def admission(
    scene: Scene, name: str = "a.txt", size: int | None = len(CONTENT), digest: str | None = None
) -> Admission:
    return Admission(scene.workspace_id, name, None, digest, limit=20, declared_size=size)


async def begun(
    backends: Backends, scene: Scene, upload_id: UUID, admitted: Admission | None = None
) -> WatchedReceiver:
    viewer = scene.viewer("owner")
    watched = upload_id, admitted or admission(scene)
    return await WatchedReceiver.begin(backends, (viewer, FACTS), watched, Allowance(backends.ports, viewer))


async def received(backends: Backends, scene: Scene, upload_id: UUID, admitted: Admission | None = None) -> Received:
    receiver = await begun(backends, scene, upload_id, admitted)
    await receiver.write(CONTENT)
    return await receiver.finish()


async def stored(backends: Backends, scene: Scene, arrival: Received) -> FileRow | Refusal:
    [outcome] = await store_files(backends, Upload(backends.ports, scene.viewer("owner"), FACTS, [arrival]))
    return outcome


async def row_of(backends: Backends, upload_id: UUID) -> UploadRow:
    async with backends.db.transaction() as tx:
        found = await uploads.lock(tx, upload_id)
    assert found is not None
    return found


async def is_nothing_left(backends: Backends, upload: UploadRow) -> bool:
    """Whether nothing is held back, and no bytes lie under the key."""
    async with backends.db.reading() as rows:
        kept = select(func.count()).select_from(Blob).where(col(Blob.deleted_at).is_(None))
        is_bare = await rows.scalar(kept.where(col(Blob.key) == upload.blob_key)) == 0
    return is_bare and upload.reserved == 0 and await is_exact(backends.db)


@both
async def test_an_upload_goes_through_its_states(scene: Scene, backends: Backends) -> None:
    upload_id, states = uuid7(), list[tuple[str, int, int]]()

    async def note() -> None:
        row = await row_of(backends, upload_id)
        states.append((row.state, row.received, row.reserved))

    receiver = await begun(backends, scene, upload_id)
    await note()
    await receiver.write(CONTENT[:5])
    await note()
    await receiver.write(CONTENT[5:])
    arrival = await receiver.finish()
    await note()
    file = await stored(backends, scene, arrival)
    await note()
    assert states == [
        (UploadState.OPEN, 0, 11),
        (UploadState.RECEIVING, 5, 11),
        (UploadState.VERIFYING, 11, 11),
        (UploadState.COMMITTED, 11, 0),
    ]
    assert isinstance(file, FileRow)
    assert (await row_of(backends, upload_id)).file_id == file.id
    assert await is_exact(backends.db)


async def test_its_row_says_now_and_then_how_far_it_is(
    scene: Scene, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_uploads, "NOTED_SECONDS", 0)
    upload_id = uuid7()
    receiver = await begun(backends, scene, upload_id)
    for end in (4, 8):
        scene.clock.time += timedelta(seconds=10)
        await receiver.write(CONTENT[end - 4 : end])
        row = await row_of(backends, upload_id)
        assert (row.received, row.expires_at) == (end, scene.clock.now() + LIFETIME)
    await receiver.abandon()


@both
async def test_an_id_is_taken_once_by_whomever(scene: Scene, backends: Backends) -> None:
    upload_id = uuid7()
    tried = await asyncio.gather(*(begun(backends, scene, upload_id) for _ in range(5)), return_exceptions=True)
    [receiver] = [outcome for outcome in tried if isinstance(outcome, WatchedReceiver)]
    refusals = [outcome for outcome in tried if isinstance(outcome, InvalidInput)]
    assert [refusal.path for refusal in refusals] == [("uploadId",)] * 4
    await receiver.abandon()
    with pytest.raises(InvalidInput):
        await begun(backends, scene, upload_id)
    assert await is_exact(backends.db)


@both
async def test_what_is_cut_off_is_aborted_and_leaves_nothing(scene: Scene, backends: Backends) -> None:
    upload_id = uuid7()
    receiver = await begun(backends, scene, upload_id)
    await receiver.write(CONTENT[:5])
    await receiver.abandon()
    await receiver.abandon()
    row = await row_of(backends, upload_id)
    assert row.state == UploadState.ABORTED
    assert await is_nothing_left(backends, row)


@pytest.mark.parametrize("refused", ["too large", "digest", "type"])
async def test_what_is_refused_says_why(scene: Scene, backends: Backends, refused: str) -> None:
    upload_id = uuid7()
    given = {
        "too large": admission(scene, size=None),
        "digest": admission(scene, digest="0" * 64),
        "type": admission(scene, "a.png"),
    }[refused]
    expected = {"too large": FileTooLarge, "digest": DigestMismatch, "type": MediaTypeNotAllowed}[refused]
    receiver = await begun(backends, scene, upload_id, given)
    await receiver.write(CONTENT)
    if refused == "type":
        assert isinstance(await stored(backends, scene, await receiver.finish()), expected)
    else:
        with pytest.raises(expected):
            await (receiver.write(CONTENT) if refused == "too large" else receiver.finish())
    row = await row_of(backends, upload_id)
    assert row.state == UploadState.REJECTED
    assert row.refusal is not None
    assert isinstance(read(row.refusal), expected)
    assert await is_nothing_left(backends, row)


async def test_a_store_that_is_out_of_order_rejects_it(scene: Scene, backends: Backends, store: Faulty) -> None:
    upload_id = uuid7()
    store.failing = "create"
    with pytest.raises(Unavailable):
        await begun(backends, scene, upload_id)
    row = await row_of(backends, upload_id)
    assert row.state == UploadState.REJECTED
    assert await is_nothing_left(backends, row)


async def test_the_limits_of_uploads_hold_for_these(scene: Scene, backends: Backends) -> None:
    limits = backends.ports.upload_sessions
    for _ in range(limits.maximum_open):
        await begun(backends, scene, uuid7())
    with pytest.raises(TooManyUploads):
        await begun(backends, scene, uuid7())


@pytest.mark.parametrize("at", ["write", "finish"])
async def test_one_that_was_given_up_ends_where_it_is(scene: Scene, backends: Backends, at: str) -> None:
    upload_id = uuid7()
    receiver = await begun(backends, scene, upload_id)
    if at == "finish":
        await receiver.write(CONTENT)
    async with backends.db.transaction() as tx:
        await abort_upload(tx, backends.ports, scene.viewer("owner"), upload_id, FACTS)
    with pytest.raises(UploadEnded):
        await (receiver.write(CONTENT) if at == "write" else receiver.finish())
    row = await row_of(backends, upload_id)
    assert row.state == UploadState.ABORTED
    assert await is_nothing_left(backends, row)


async def test_one_that_was_given_up_after_its_last_byte_becomes_no_file(scene: Scene, backends: Backends) -> None:
    upload_id = uuid7()
    arrival = await received(backends, scene, upload_id)
    async with backends.db.transaction() as tx:
        await abort_upload(tx, backends.ports, scene.viewer("owner"), upload_id, FACTS)
    assert isinstance(await stored(backends, scene, arrival), UploadEnded)
    row = await row_of(backends, upload_id)
    assert row.state == UploadState.ABORTED
    assert await is_nothing_left(backends, row)


async def test_what_no_resolver_takes_is_dropped(scene: Scene, backends: Backends) -> None:
    upload_id = uuid7()
    await drop(backends, await received(backends, scene, upload_id), FACTS)
    row = await row_of(backends, upload_id)
    assert row.state == UploadState.ABORTED
    assert await is_nothing_left(backends, row)


async def test_one_whose_process_died_expires_and_never_becomes_a_file(scene: Scene, backends: Backends) -> None:
    early, late = uuid7(), uuid7()
    await (await begun(backends, scene, early)).write(CONTENT)
    await received(backends, scene, late)
    scene.clock.time += max(LIFETIME, STUCK_AFTER)
    await sweep_uploads(backends, scene.clock.now())
    for upload_id in (early, late):
        row = await row_of(backends, upload_id)
        assert row.state == UploadState.EXPIRED
        assert await is_nothing_left(backends, row)
    assert cast("Tally", backends.ports.meter).ends == {("MULTIPART", "EXPIRED"): 2}


async def test_nobody_completes_it_from_outside(scene: Scene, backends: Backends) -> None:
    upload_id = uuid7()
    await received(backends, scene, upload_id)
    with pytest.raises(InvalidInput):
        await complete_upload(backends, scene.viewer("owner"), await row_of(backends, upload_id), FACTS)


async def test_what_does_not_fit_is_refused_before_a_byte(scene: Scene, backends: Backends) -> None:
    upload_id, policy = uuid7(), replace(backends.ports.workspace_policy, quota_bytes=10)
    small = replace(backends, ports=replace(backends.ports, workspace_policy=policy))
    with pytest.raises(QuotaExceeded):
        await begun(small, scene, upload_id)
    async with backends.db.transaction() as tx:
        assert await uploads.lock(tx, upload_id) is None


async def test_those_without_an_id_have_no_row(scene: Scene, backends: Backends) -> None:
    viewer, refused = scene.viewer("owner"), UploadEnded(message="It has ended.", state="ABORTED")
    receiver = await Receiver.begin(backends.store, admission(scene), Allowance(backends.ports, viewer))
    await receiver.write(CONTENT)
    upload = Upload(backends.ports, viewer, FACTS, [await receiver.finish(), refused])
    file, refusal = await store_files(backends, upload)
    assert isinstance(file, FileRow)
    assert refusal is refused
    async with backends.db.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(Row)) == 0
