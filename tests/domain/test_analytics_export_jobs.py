"""Exports made by their job: one file each, whatever breaks and whoever else does the same, and nothing beside it."""

import asyncio
import csv
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlmodel import col

from db.models import ExportFormat, ExportReport, ExportState, File, Member, User
from db.rates import Rate
from domain.analytics import Asked
from domain.analytics_export_jobs import export_by_job
from domain.analytics_exports import NewExport
from domain.analytics_folding import fold
from domain.backends import Backends
from domain.blobs import sweep
from domain.jobs import JobFault
from domain.policy import Limit
from domain.upload_ends import read
from storage.disk import DiskStore
from storage.store import StoreFull
from tests.backstage import breaking
from tests.domain.exporting import USERS, content_of, file_of, job_of, made, now_of, requested
from tests.domain.histories import History
from tests.domain.receiving import Faulty, is_exact
from tests.domain.test_analytics import LIFE
from tests.machine import comes_true
from tests.records import add_person
from tests.scenes import Scene

EVERYTHING = replace(USERS, format=ExportFormat.JSON_LINES)


def lying(folder: Path) -> int:
    """How many blobs lie in the store, finished or not, leased or not."""
    return sum(path.is_file() for name in ("blobs", "incoming", "leases") for path in (folder / name).rglob("*"))


async def files_of(scene: Scene) -> int:
    async with scene.db.reading() as rows:
        return len(await rows.all(select(col(File.id))))


class Meddled(DiskStore):
    """A store beside which something happens once bytes begin to come."""

    meddle: Callable[[], Awaitable[object]]

    async def create(self, key: str) -> Any:
        await self.meddle()
        return await super().create(key)


@asynccontextmanager
async def meddled(backends: Backends, folder: Path, meddle: Callable[[], Awaitable[object]]) -> AsyncIterator[Backends]:
    store = Meddled(folder, floor_bytes=0, lease_seconds=60)
    store.meddle = meddle
    await store.open()
    try:
        yield replace(backends, store=store)
    finally:
        await store.close()


async def test_an_export_becomes_a_file_of_its_user(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    await add_person(scene.db, "-dash")
    export = await requested(scene, "administrator")
    done = await made(backends, scene, export)
    assert (done.state, done.as_of, done.refusal) == (ExportState.DONE, scene.clock.now(), None)
    assert None not in {done.started_at, done.ended_at}
    file = await file_of(scene, done)
    assert file.name == "analytics-users-2026-10-24-to-2026-11-22.csv"
    assert (file.workspace_id, file.media_type) == (scene.people["administrator"].workspace_id, "text/csv")
    told = [*csv.DictReader(StringIO(await content_of(backends, scene, done), newline=""))]
    names = {"'-dash", "disabled", "stranger", "administrator", "viewer", "editor", "owner"}
    assert {row["username"] for row in told} == names
    assert done.row_count == len(names)
    assert {tuple(row) for row in told} == {("userId", "username", "files", "bytes", "downloads")}
    kinds = [kind for kind, *_ in await scene.events()]
    assert kinds == ["analytics_export.requested", "file.uploaded"]
    assert await is_exact(scene.db)
    await export_by_job(backends, await job_of(scene, export))
    assert await now_of(scene, export) == done, "a job that comes again finds nothing to do"
    assert await files_of(scene) == 1
    assert await comes_true(lambda: lying(tmp_path / "data") == 1)


async def test_of_two_who_make_the_same_export_one_makes_the_file(
    scene: Scene, backends: Backends, tmp_path: Path
) -> None:
    export = await requested(scene)
    job = await job_of(scene, export)
    await asyncio.gather(*(export_by_job(backends, job) for _ in range(4)))
    assert (await now_of(scene, export)).state == ExportState.DONE
    assert await files_of(scene) == 1
    assert await comes_true(lambda: lying(tmp_path / "data") == 1)
    assert await is_exact(scene.db)


WRITES = tuple(f"INSERT INTO {table}" for table in ("blobs", "files", "versions", "events", "deltas", "quotas"))
BREAKS = [("sqlite", each) for each in WRITES] + [
    (kind, each) for kind in ("sqlite", "postgresql") for each in ("UPDATE analytics_exports", "SELECT users")
]
"""On PostgreSQL all that is written is one statement, which the driver is asked by itself."""


@pytest.mark.parametrize(("database_url", "beginning"), BREAKS, indirect=["database_url"])
async def test_what_breaks_anywhere_is_made_the_next_time_and_leaves_nothing(
    scene: Scene, backends: Backends, tmp_path: Path, beginning: str
) -> None:
    quick = DiskStore(tmp_path / "quick", floor_bytes=0, lease_seconds=0)
    await quick.open()
    backends = replace(backends, store=quick)
    export = await requested(scene)
    job = await job_of(scene, export)
    with breaking(beginning), pytest.raises(ConnectionResetError):
        await export_by_job(backends, job)
    assert await files_of(scene) == 0
    done = await made(backends, scene, export)
    assert done.state == ExportState.DONE
    gc.collect()  # what a process that died has held
    await asyncio.sleep(0.05)
    await sweep(scene.db, quick, scene.clock.now())
    assert await files_of(scene) == 1
    assert lying(tmp_path / "quick") == 1
    assert await is_exact(scene.db)
    await quick.close()


async def test_an_export_that_is_cut_off_leaves_nothing(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.sleep(60)

    export = await requested(scene)
    async with meddled(backends, tmp_path / "own", hang) as own:
        cut = asyncio.create_task(export_by_job(own, await job_of(scene, export)))
        await reached.wait()
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        assert lying(tmp_path / "own") == 0
        assert (await now_of(scene, export)).state == ExportState.RUNNING
    assert (await made(backends, scene, export)).state == ExportState.DONE


async def test_a_full_quota_is_told_with_its_facts(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    tight = replace(backends.ports, workspace_policy=replace(backends.ports.workspace_policy, quota_bytes=100))
    export = await requested(scene)
    failed = await made(replace(backends, ports=tight), scene, export)
    assert (failed.state, failed.file_id, failed.row_count) == (ExportState.FAILED, None, None)
    refusal: Any = read(failed.refusal or {})
    assert (refusal.code, refusal.limit, refusal.used, refusal.path) == ("QUOTA_EXCEEDED", 100, 0, ())
    assert refusal.requested > 100
    assert await files_of(scene) == lying(tmp_path / "data") == 0


async def test_a_quota_that_is_filled_meanwhile_is_told_too(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    tight = replace(backends.ports, workspace_policy=replace(backends.ports.workspace_policy, user_quota_bytes=2000))
    backends = replace(backends, ports=tight)

    async def fill() -> None:
        history = History(scene, backends)
        history.people, history.places = [scene.id("owner")], [scene.workspace_id]
        await history.upload(1500)

    export = await requested(scene, new=replace(USERS, report=ExportReport.UPLOADS))
    async with meddled(backends, tmp_path / "own", fill) as own:
        await export_by_job(own, await job_of(scene, export))
        failed = await now_of(scene, export)
        assert failed.refusal is not None
        assert failed.refusal["type"] == "QuotaExceeded"
        assert lying(tmp_path / "own") == 0
        assert await is_exact(scene.db)


async def test_what_another_time_may_do_is_tried_again(
    scene: Scene, backends: Backends, store: Faulty, tmp_path: Path
) -> None:
    export = await requested(scene)
    store.failing, store.error = "create", StoreFull("no room")
    with pytest.raises(JobFault, match="no room for the file"):
        await made(backends, scene, export)
    assert (await now_of(scene, export)).state == ExportState.RUNNING
    store.failing = ""
    rated = replace(backends.ports, rates={Limit.UPLOADED_BYTES_PER_USER: Rate(5, 60)})
    with pytest.raises(JobFault, match="uploads too many bytes"):
        await made(replace(backends, ports=rated), scene, export)
    assert lying(tmp_path / "data") == 0
    assert (await made(backends, scene, export)).state == ExportState.DONE


async def test_rights_that_go_while_it_is_made_are_gone(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    async def leave() -> None:
        is_member = col(Member.user_id) == scene.id("owner"), col(Member.workspace_id) == scene.workspace_id
        async with scene.db.transaction() as tx:
            await tx.execute(delete(Member).where(*is_member))

    export = await requested(scene)
    named = await requested(scene, new=replace(USERS, asked=Asked(workspace_id=scene.workspace_id)))
    async with meddled(backends, tmp_path / "own", leave) as own:
        with pytest.raises(JobFault, match="has changed"):
            await made(own, scene, export)
        assert lying(tmp_path / "own") == 0
        done = await made(own, scene, export)
        assert "stranger" not in await content_of(own, scene, done)
        assert done.row_count == 1
        assert (await made(own, scene, named)).state == ExportState.FAILED


async def test_whose_workspace_is_closed_meanwhile_gets_no_file(
    scene: Scene, backends: Backends, tmp_path: Path
) -> None:
    async def disable() -> None:
        async with scene.db.transaction() as tx:
            disabled = update(User).where(col(User.id) == scene.id("owner"))
            await tx.execute(disabled.values(disabled_at=scene.clock.now()))

    export = await requested(scene)
    async with meddled(backends, tmp_path / "own", disable) as own:
        failed = await made(own, scene, export)
        assert failed.state == ExportState.FAILED
        assert lying(tmp_path / "own") == await files_of(scene) == 0


async def test_an_export_of_a_user_who_is_gone_is_nobodys(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    async def remove() -> None:
        async with scene.db.transaction() as tx:
            await tx.execute(delete(User).where(col(User.id) == scene.id("owner")))

    export = await requested(scene)
    async with meddled(backends, tmp_path / "own", remove) as own:
        job = await job_of(scene, export)
        await export_by_job(own, job)
        await export_by_job(own, job)
        assert lying(tmp_path / "own") == await files_of(scene) == 0


@pytest.mark.parametrize("report", ExportReport)
async def test_both_formats_hold_the_same_after_whatever_happened(
    scene: Scene, backends: Backends, report: ExportReport
) -> None:
    history = History(scene, backends)
    for step, number in LIFE[:40]:
        await history.do(step, number)
    await history.upload(9)
    scene.clock.forward(days=1)
    told = []
    for form in ExportFormat:
        # Of days that are over: the file itself is counted today.
        new = NewExport(report, form, Asked(until=scene.clock.now().date() - timedelta(days=1)))
        done = await made(backends, scene, await requested(scene, "administrator", new))
        content = await content_of(backends, scene, done)
        rows: list[dict[str, Any]] = (
            [*csv.DictReader(StringIO(content, newline=""))]
            if form is ExportFormat.CSV
            else [json.loads(line) for line in content.splitlines()]
        )
        assert done.row_count == len(rows) > 0
        told.append([{name: str(value) for name, value in row.items()} for row in rows])
        await fold(scene.db)
    assert told[0] == told[1]
