from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col

from db.engine import Database
from db.models import Job, JobState, UploadState
from domain.backends import Backends
from domain.figures import Figures, figures_of
from domain.jobs import NewJob, enqueue
from domain.upload_sweeps import sweep_uploads
from tests.domain.receiving import announced, changed, completed, piece
from tests.records import NOW, Tally
from tests.scenes import Scene


async def figures(db: Database) -> Figures:
    async with db.reading() as rows:
        return await figures_of(rows, NOW)


async def test_an_empty_service_has_figures_too(db: Database) -> None:
    assert await figures(db) == Figures(0, 0, 0, [], 0.0, [])


async def test_bytes_and_files_are_counted_once_whoever_brought_them(backends: Backends, scene: Scene) -> None:
    before = await figures(backends.db)
    upload = await announced(backends, scene)
    held = await figures(backends.db)
    assert held.reserved - before.reserved == upload.size
    await completed(backends, scene, await piece(backends, upload))
    after = await figures(backends.db)
    assert (after.used - before.used, after.files - before.files) == (upload.size, 1)
    assert after.reserved == before.reserved


async def test_jobs_are_told_by_kind_and_state_and_the_longest_due_by_its_age(db: Database) -> None:
    async with db.transaction() as tx:
        for number, kind in enumerate(("note", "note", "note", "mail")):
            await enqueue(tx, NewJob(kind, {}, NOW, run_at=NOW - timedelta(seconds=10 * number)))
        dead = await enqueue(tx, NewJob("mail", {}, NOW, run_at=NOW - timedelta(days=1)))
        await tx.execute(update(Job).where(col(Job.id) == dead).values(state=JobState.DEAD))
    found = await figures(db)
    assert sorted(found.jobs) == [("mail", "DEAD", 1), ("mail", "WAITING", 1), ("note", "WAITING", 3)]
    assert found.overdue_seconds == 30


async def test_a_job_that_is_not_due_is_not_overdue(db: Database) -> None:
    async with db.transaction() as tx:
        await enqueue(tx, NewJob("note", {}, NOW, run_at=NOW + timedelta(hours=1)))
    assert (await figures(db)).overdue_seconds == 0


async def test_uploads_that_have_not_ended_are_told_by_transport_and_state(backends: Backends, scene: Scene) -> None:
    uploads = [await announced(backends, scene) for _ in range(3)]
    await piece(backends, uploads[0], b"hello")
    await changed(backends.db, uploads[1], state=UploadState.ABORTED)
    found = (await figures(backends.db)).uploads
    assert sorted(found) == [("TUS", "OPEN", 1), ("TUS", "RECEIVING", 1)]


async def test_every_end_of_an_upload_is_counted_once(backends: Backends, scene: Scene) -> None:
    meter = backends.ports.meter
    assert isinstance(meter, Tally)
    kept = await announced(backends, scene)
    kept = await completed(backends, scene, await piece(backends, kept))
    assert (await completed(backends, scene, kept)).state == UploadState.COMMITTED
    await announced(backends, scene)
    for _ in range(2):
        await sweep_uploads(backends, NOW + timedelta(days=2))
    assert meter.ends == {("TUS", "COMMITTED"): 1, ("TUS", "EXPIRED"): 1}
