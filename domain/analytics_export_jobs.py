"""The job that makes an export: rights first, then bytes, then its file and its end in one transaction.

It may be cut off anywhere and done again. An attempt whose transaction did not commit leaves bytes without a row, which
go with their lease; after one that did, the export has ended, and there is nothing more to do. Of two at once, one ends
it, and the other removes what it wrote.
"""

from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from db import analytics_exports
from db.models import ExportFormat, ExportReport, ExportState
from db.rows import AnalyticsExportRow, FileRow, JobRow
from domain import media
from domain.access import held_workspaces
from domain.analytics import Question
from domain.analytics_buckets import Interval
from domain.analytics_export_rights import asker_of, question_of
from domain.analytics_reports import COLUMNS, read_report
from domain.backends import Backends
from domain.blobs import delete
from domain.errors import Forbidden, Kind, RateLimited, Refusal, Unavailable
from domain.events import RequestFacts
from domain.jobs import JobFault
from domain.new_versions import Newcomer, NewVersions
from domain.rates import Allowance
from domain.report_formats import EXTENSIONS, head_of, rows_of
from domain.upload_ends import written
from domain.uploads import Admission, Part, Received, Receiver, UploadIntent, admit_intent, admit_part
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class _Task:
    """An export under way, in the name of whom, and what that one may know."""

    export: AnalyticsExportRow
    facts: RequestFacts
    viewer: Viewer
    question: Question


@dataclass(frozen=True, slots=True)
class _Written:
    """The bytes of an export, as of when they were read, and how many rows they have."""

    received: Received
    as_of: datetime
    row_count: int


class _Superseded(Exception):  # noqa: N818 - a fact, named as such
    """Somebody else has ended the export, or its user is gone."""


async def export_by_job(backends: Backends, job: JobRow) -> None:
    """Make the file of an export, or say with it why there is none. Raises JobFault for what another time may do."""
    given = job.payload or {}
    async with backends.db.transaction() as tx:
        export = await analytics_exports.begin(tx, UUID(given["exportId"]), backends.ports.clock.now())
    if export is None:
        return
    try:
        await _make(backends, export, RequestFacts(given.get("requestId"), given.get("address")))
    except (Unavailable, RateLimited) as refusal:
        raise JobFault(refusal.message) from refusal
    except Refusal as refusal:
        await _fail(backends, export, refusal)


async def _make(backends: Backends, export: AnalyticsExportRow, facts: RequestFacts) -> None:
    async with backends.db.reading() as rows:
        viewer = await asker_of(rows, export, backends.ports.clock.now())
        task = _Task(export, facts, viewer, await question_of(rows, viewer, export))
    made = await _write(backends, task, await _admit(backends, task))
    key = made.received.stored.key
    # Whatever else is raised leaves the bytes to their lease: the rows may have been committed all the same.
    try:
        await _commit(backends, task, made)
    except (Refusal, JobFault):
        await delete(backends.store, key)
        raise
    except _Superseded:
        await delete(backends.store, key)
    else:
        await backends.store.release(key)


async def _admit(backends: Backends, task: _Task) -> Admission:
    """Judge the file as that of any upload, but for its extension: what people may bring is another matter."""
    export, extension = task.export, EXTENSIONS[ExportFormat(task.export.format)]
    words = export.report.lower().replace("_", "-")
    intent = UploadIntent(f"analytics-{words}-{export.since}-to-{export.until}.{extension}")
    policy = replace(backends.ports.policy, allowed_extensions=frozenset({extension}), blocked_extensions=frozenset())
    place = await admit_intent(backends.db, backends.ports, task.viewer, intent)
    return admit_part(policy, place, intent, Part())


async def _write(backends: Backends, task: _Task, admission: Admission) -> _Written:
    """Read the report, and store it as it is read."""
    export, as_of, row_count = task.export, backends.ports.clock.now(), 0
    report, form = ExportReport(export.report), ExportFormat(export.format)
    interval = Interval(export.interval) if export.interval else None
    receiver = await Receiver.begin(backends.store, admission, Allowance(backends.ports, task.viewer))
    try:
        await receiver.write(head_of(form, COLUMNS[report]))
        async with aclosing(read_report(backends.db, task.question, report, interval)) as batches:
            async for batch in batches:
                await receiver.write(rows_of(form, COLUMNS[report], batch))
                row_count += len(batch)
        return _Written(await receiver.finish(), as_of, row_count)
    except BaseException:
        await receiver.abandon()
        raise


async def _commit(backends: Backends, task: _Task, made: _Written) -> FileRow:
    """Write the file and the end of the export. Rights are asked once more: they may have gone while it was read."""
    admission, now = made.received.admission, backends.ports.clock.now()
    inspection = media.inspect(admission.name, made.received.head)
    newcomer = Newcomer(backends.ports, task.viewer, task.facts, made.received, inspection)
    async with backends.db.transaction() as tx:
        [access] = await held_workspaces(tx, [(task.viewer, admission.workspace_id)])
        versions = await NewVersions.begin(tx, [newcomer])
        file = versions.add(newcomer, access)
        if isinstance(file, Refusal):
            raise file
        viewer = await asker_of(tx, task.export, now)
        if _places(await question_of(tx, viewer, task.export)) != _places(task.question):
            raise JobFault("what may be known has changed while it was read")
        done = {"state": ExportState.DONE, "as_of": made.as_of, "row_count": made.row_count, "file_id": file.id}
        if not await analytics_exports.end(tx, task.export.id, done | {"ended_at": now}):
            raise _Superseded
        await versions.write(tx)
    return file


def _places(question: Question) -> set[UUID]:
    return {*question.extent.scope_ids}


async def _fail(backends: Backends, export: AnalyticsExportRow, refusal: Refusal) -> None:
    is_about_rights = refusal.kind in {Kind.FORBIDDEN, Kind.UNAUTHENTICATED}
    told = Forbidden(message=refusal.message) if is_about_rights else refusal
    # What it is about is no field of an input any more.
    kept = written(told) | {"path": []}
    failed = {"state": ExportState.FAILED, "refusal": kept, "ended_at": backends.ports.clock.now()}
    async with backends.db.transaction() as tx:
        await analytics_exports.end(tx, export.id, failed)
