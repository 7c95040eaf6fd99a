"""Exports: reports of what is counted, asked for here and made as files by a job. See `domain.analytics_export_jobs`.

An export is its maker's alone; the file that it becomes lies in the maker's personal workspace, as any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

from db import analytics_exports, users
from db.engine import Database, Rows, Transaction
from db.models import AnalyticsExport, ExportFormat, ExportReport, ExportState
from db.rows import AnalyticsExportRow
from domain import analytics
from domain.access import no_such_workspace
from domain.analytics import Asked
from domain.analytics_buckets import Interval
from domain.analytics_deltas import day_of
from domain.analytics_reports import OVER_TIME
from domain.errors import BadCredential, InvalidInput, TooManyExports, Unavailable
from domain.events import EventKind, RequestFacts, Subject, event
from domain.jobs import NewJob, enqueue
from domain.ports import Ports
from domain.scopes import Scope
from domain.upload_ends import written
from domain.viewer import Viewer

EXPORT_JOB = "analytics.export"
MAXIMUM_WAITING = 5
"""How many exports a user may have that have not ended."""
KEPT = timedelta(days=30)
"""How long an export is remembered after its end. Its file stays until somebody purges it."""


@dataclass(frozen=True, slots=True)
class NewExport:
    """What an export is to be of, and how it is written. `interval` is for reports over time, None for days."""

    report: ExportReport
    format: ExportFormat
    asked: Asked
    interval: Interval | None = None


async def request_export(
    tx: Transaction, ports: Ports, viewer: Viewer, new: NewExport, facts: RequestFacts
) -> AnalyticsExportRow:
    """Have a report made as a file, for whoever may know what is in it and may have files.

    Raises NotSignedIn, ScopeMissing, InvalidInput, NotFound, BadCredential and TooManyExports.
    """
    user_id, now = viewer.required(Scope.ANALYTICS_READ), ports.clock.now()
    viewer.required(Scope.FILES_WRITE)
    if new.interval is not None and new.report not in OVER_TIME:
        raise InvalidInput(message="This report has no buckets.", path=("interval",))
    question = await analytics.judge(tx, viewer, new.asked, day_of(now))
    if question is None:
        raise no_such_workspace()
    if not await users.hold_enabled(tx, user_id):
        raise BadCredential
    if await analytics_exports.count_live(tx, user_id) >= MAXIMUM_WAITING:
        sentence = f"{MAXIMUM_WAITING} of your exports have not ended, which is as many as one may have."
        raise TooManyExports(message=sentence, maximum=MAXIMUM_WAITING)
    export_id = uuid7()
    payload = {"exportId": export_id.hex, "requestId": facts.request_id, "address": facts.address}
    made = AnalyticsExport(
        id=export_id,
        user_id=user_id,
        api_key_id=viewer.api_key_id,
        is_administrator=viewer.is_admin,
        job_id=await enqueue(tx, NewJob(EXPORT_JOB, payload, now)),
        report=new.report,
        format=new.format,
        since=question.period.since,
        until=question.period.until,
        interval=(new.interval or Interval.DAY) if new.report in OVER_TIME else None,
        workspace_id=new.asked.workspace_id,
        created_at=now,
    )
    await tx.add(made)
    data = {"report": made.report, "since": made.since.isoformat(), "until": made.until.isoformat()}
    subject = Subject(user_id, made.workspace_id, made.id, data=data)
    await tx.add(event(EventKind.ANALYTICS_EXPORT_REQUESTED, subject, facts, now))
    [row] = await analytics_exports.own(tx, user_id, [made.id])
    return row


async def by_ids(rows: Rows, viewer: Viewer, export_ids: Sequence[UUID]) -> list[AnalyticsExportRow]:
    """Those of the exports that are the viewer's, in no particular order; none for nobody. Raises ScopeMissing."""
    user_id = viewer.known(Scope.ANALYTICS_READ)
    return await analytics_exports.own(rows, user_id, export_ids) if user_id else []


async def sweep(db: Database, now: datetime) -> None:
    """End exports whose job was given up, and forget those that ended long ago. Safe beside other processes."""
    refusal = Unavailable(message="The service could not make the export: it was given up after many attempts.")
    async with db.transaction() as tx:
        failed = {"state": ExportState.FAILED, "refusal": written(refusal), "ended_at": now}
        await analytics_exports.fail_abandoned(tx, failed)
        await analytics_exports.forget(tx, now - KEPT)
