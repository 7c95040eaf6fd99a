"""Exports asked for and made, for tests of what becomes of them."""

from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from db import files, versions
from db.models import ExportFormat, ExportReport, Job
from db.rows import AnalyticsExportRow, FileRow, JobRow
from domain.analytics import Asked
from domain.analytics_export_jobs import export_by_job
from domain.analytics_exports import EXPORT_JOB, NewExport, by_ids, request_export
from domain.backends import Backends
from domain.viewer import Viewer
from tests.scenes import FACTS, Scene

USERS = NewExport(ExportReport.USERS, ExportFormat.CSV, Asked())


async def requested(scene: Scene, by: str | Viewer = "owner", new: NewExport = USERS) -> AnalyticsExportRow:
    viewer = scene.viewer(by) if isinstance(by, str) else by
    async with scene.db.transaction() as tx:
        return await request_export(tx, scene.ports, viewer, new, FACTS)


async def job_of(scene: Scene, export: AnalyticsExportRow) -> JobRow:
    columns = col(Job.id), col(Job.kind), col(Job.payload), col(Job.attempts), col(Job.leased_by)
    async with scene.db.reading() as rows:
        found = await rows.all(select(*columns).where(col(Job.kind) == EXPORT_JOB))
    [job] = [row for row in found if row.payload["exportId"] == export.id.hex]
    return JobRow._make(job)


async def now_of(scene: Scene, export: AnalyticsExportRow) -> AnalyticsExportRow:
    async with scene.db.reading() as rows:
        [found] = await by_ids(rows, Viewer(export.user_id), [export.id])
    return found


async def made(backends: Backends, scene: Scene, export: AnalyticsExportRow) -> AnalyticsExportRow:
    """The export after one attempt at its job."""
    await export_by_job(backends, await job_of(scene, export))
    return await now_of(scene, export)


async def file_of(scene: Scene, export: AnalyticsExportRow) -> FileRow:
    async with scene.db.reading() as rows:
        [file] = await files.by_ids(rows, export.user_id, [export.file_id or UUID(int=0)])
    return file


async def content_of(backends: Backends, scene: Scene, export: AnalyticsExportRow) -> str:
    """What is in the file of an export."""
    file = await file_of(scene, export)
    async with scene.db.reading() as rows:
        [version] = await versions.by_ids(rows, export.user_id, [file.version_id])
    return b"".join([piece async for piece in backends.store.read(version.blob_key)]).decode()
