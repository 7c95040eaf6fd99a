"""Selects and writes on exports of what is counted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import AnalyticsExport, ExportState, Job, JobState
from db.rows import AnalyticsExportRow

_COLUMNS = tuple(col(getattr(AnalyticsExport, name)) for name in AnalyticsExportRow._fields)
_IS_LIVE = col(AnalyticsExport.ended_at).is_(None)


async def own(rows: Rows, user_id: UUID, export_ids: Sequence[UUID]) -> list[AnalyticsExportRow]:
    """Those of the exports that are of this user, in no particular order."""
    is_own = col(AnalyticsExport.id).in_(export_ids), col(AnalyticsExport.user_id) == user_id
    return [AnalyticsExportRow._make(row) for row in await rows.all(select(*_COLUMNS).where(*is_own))]


async def count_live(rows: Rows, user_id: UUID) -> int:
    """How many exports of a user have not ended."""
    statement = select(func.count()).where(col(AnalyticsExport.user_id) == user_id, _IS_LIVE)
    number: int = await rows.scalar(statement)
    return number


async def begin(tx: Transaction, export_id: UUID, now: datetime) -> AnalyticsExportRow | None:
    """Have an export that has not ended be under way; None if it has, or if there is none."""
    values = {"state": ExportState.RUNNING, "started_at": func.coalesce(col(AnalyticsExport.started_at), now)}
    statement = update(AnalyticsExport).where(col(AnalyticsExport.id) == export_id, _IS_LIVE).values(**values)
    row = await tx.first(statement.returning(*_COLUMNS))
    return row and AnalyticsExportRow._make(row)


async def end(tx: Transaction, export_id: UUID, values: dict[str, Any]) -> bool:
    """End an export that has not ended. Whether there was one."""
    statement = update(AnalyticsExport).where(col(AnalyticsExport.id) == export_id, _IS_LIVE)
    return await tx.execute(statement.values(**values)) == 1


async def fail_abandoned(tx: Transaction, values: dict[str, Any]) -> None:
    """End all exports that have not ended and whose job is not to be done any more."""
    is_done = exists().where(col(Job.id) == col(AnalyticsExport.job_id), col(Job.state) != JobState.DEAD)
    await tx.execute(update(AnalyticsExport).where(_IS_LIVE, ~is_done).values(**values))


async def forget(tx: Transaction, before: datetime) -> None:
    """Remove exports that ended before that time."""
    await tx.execute(delete(AnalyticsExport).where(col(AnalyticsExport.ended_at) < before))
