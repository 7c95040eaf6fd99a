"""Everything that locks several kinds of rows, at once and by two processes, on few files of one workspace."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import cycle
from random import Random
from uuid import UUID

import pytest

from db.engine import Database
from db.rows import FileRow, JobRow, UploadRow
from domain import analytics_exports
from domain.analytics_export_jobs import export_by_job
from domain.backends import Backends
from domain.blobs import remove, sweep
from domain.concatenations import concatenate
from domain.departures import Departure, delete_user
from domain.errors import Refusal
from domain.files import purge_files
from domain.purges import sweep_workspaces
from domain.upload_sessions import NewUpload, abort_upload
from domain.upload_sweeps import sweep_uploads
from domain.uploads import Replaced, UploadIntent
from domain.versions import Restoration, restore_version
from domain.workspaces import Deletion, delete_workspace
from tests.domain.exporting import job_of, requested
from tests.domain.receiving import announced, brought, changed, completed, is_exact, piece
from tests.scenes import FACTS, Scene

Act = Callable[[Backends, Scene], Awaitable[object]]

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
async def processes(scene: Scene, backends: Backends, database_url: str) -> AsyncIterator[list[tuple[Backends, Scene]]]:
    """The same service twice, as two processes have it: what they share is the database and the store."""
    generous = replace(scene.ports.upload_sessions, maximum_open=1000)
    scene = replace(scene, ports=replace(scene.ports, upload_sessions=generous))
    other = replace(scene, db=Database(database_url))
    yield [(Backends(each.db, backends.store, each.ports), each) for each in (scene, other)]
    await other.db.close()


async def new_file(backends: Backends, scene: Scene, by: str = "editor") -> FileRow:
    made = await brought(backends, scene, b"first", by=by)
    assert isinstance(made, FileRow)
    return made


def replacing(file: FileRow, by: str) -> Act:
    async def act(backends: Backends, scene: Scene) -> object:
        return await brought(backends, scene, b"another", Replaced(file.id), by=by)

    return act


def restoring(file: FileRow, by: str) -> Act:
    async def act(_: Backends, scene: Scene) -> object:
        async with scene.db.transaction() as tx:
            restoration = Restoration(file.id, file.version_id)
            return await restore_version(tx, scene.ports, scene.viewer(by), restoration, FACTS)

    return act


def purging(*file_ids: UUID) -> Act:
    async def act(backends: Backends, scene: Scene) -> object:
        async with scene.db.transaction() as tx:
            purged = await purge_files(tx, scene.ports, scene.viewer("owner"), file_ids, FACTS)
        return await remove(scene.db, backends.store, purged.blob_keys)

    return act


def aborting(upload: UploadRow) -> Act:
    async def act(_: Backends, scene: Scene) -> object:
        async with scene.db.transaction() as tx:
            return await abort_upload(tx, scene.ports, scene.viewer("owner"), upload.id, FACTS)

    return act


def completing(upload: UploadRow) -> Act:
    async def act(backends: Backends, scene: Scene) -> object:
        return await completed(backends, scene, upload)

    return act


def joining(*pieces: UploadRow) -> Act:
    async def act(backends: Backends, scene: Scene) -> object:
        new = NewUpload(UploadIntent(name="a.txt", workspace_id=scene.workspace_id))
        ids = [upload.id for upload in pieces]
        return await concatenate(backends, scene.viewer("owner"), new, ids, FACTS)

    return act


def exporting(job: JobRow) -> Act:
    async def act(backends: Backends, _: Scene) -> None:
        await export_by_job(backends, job)

    return act


async def sweeping(backends: Backends, scene: Scene) -> None:
    await sweep_uploads(backends, scene.clock.now())
    await sweep_workspaces(backends)
    await sweep(backends.db, backends.store, scene.clock.now())
    await analytics_exports.sweep(backends.db, scene.clock.now())


def leaving(name: str) -> Act:
    async def act(_: Backends, scene: Scene) -> object:
        async with scene.db.transaction() as tx:
            departure = Departure(scene.id(name))
            return await delete_user(tx, scene.ports, scene.viewer("administrator"), departure, FACTS)

    return act


async def closing(_: Backends, scene: Scene) -> object:
    async with scene.db.transaction() as tx:
        deletion = Deletion(scene.workspace_id, purge_files=True)
        return await delete_workspace(tx, scene.ports, scene.viewer("owner"), deletion, FACTS)


async def all_at_once(processes: list[tuple[Backends, Scene]], acts: list[Act], random: Random) -> None:
    """Do it all in some order, and let nothing be answered by anything but a result or a refusal."""
    random.shuffle(acts)
    outcomes = await asyncio.gather(
        *(act(*process) for act, process in zip(acts, cycle(processes), strict=False)), return_exceptions=True
    )
    faults = [each for each in outcomes if isinstance(each, BaseException) and not isinstance(each, Refusal)]
    assert faults == []
    assert await is_exact(processes[0][1].db)


async def fifty_acts(backends: Backends, scene: Scene, random: Random) -> list[Act]:
    files = [await new_file(backends, scene, by) for by in ("editor", "owner", "editor", "owner")]
    acts: list[Act] = []
    for _ in range(4):
        for file in files:
            by = random.choice(["editor", "owner"])
            acts += [replacing(file, by), restoring(file, by)]
    for _ in range(3):
        acts.append(purging(*(file.id for file in random.sample(files, 2))))
    for _ in range(4):
        upload = await piece(backends, await announced(backends, scene))
        upload = await changed(scene.db, upload, replaces_id=random.choice(files).id)
        acts += [completing(upload), completing(upload), aborting(upload)]
    one, two = [
        await changed(scene.db, await piece(backends, await announced(backends, scene)), is_partial=True) for _ in "12"
    ]
    return [*acts, joining(one, two), joining(two, one), sweeping]


@pytest.mark.parametrize("seed", range(3))
async def test_fifty_at_once_on_few_files_wait_for_each_other_and_none_for_ever(
    processes: list[tuple[Backends, Scene]], seed: int
) -> None:
    random = Random(seed)
    acts = await fifty_acts(*processes[0], random)
    assert len(acts) == 50
    await all_at_once(processes, acts, random)


@pytest.mark.parametrize("seed", range(3))
async def test_a_user_is_removed_while_everything_else_goes_on(
    processes: list[tuple[Backends, Scene]], seed: int
) -> None:
    random, (backends, scene) = Random(seed), processes[0]
    for _ in range(5):
        await announced(backends, scene, by="editor")
    exports = [exporting(await job_of(scene, await requested(scene, "editor"))) for _ in range(4)]
    acts = await fifty_acts(backends, scene, random)
    await all_at_once(processes, [*acts, *exports, *exports, leaving("editor"), sweeping], random)


@pytest.mark.parametrize("seed", range(3))
async def test_a_workspace_is_purged_while_everything_else_goes_on(
    processes: list[tuple[Backends, Scene]], seed: int
) -> None:
    random, (backends, scene) = Random(seed), processes[0]
    open_ones = [await announced(backends, scene) for _ in range(5)]
    acts = await fifty_acts(backends, scene, random)
    acts += [aborting(upload) for upload in open_ones]
    await all_at_once(processes, [*acts, closing, sweeping, sweeping], random)
    await sweeping(backends, scene)
    assert await is_exact(scene.db)
