"""Selects of numbers about the whole service, whose cost grows with workspaces and unfinished jobs and nothing else."""

from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, cast, func, select
from sqlalchemy.orm import Mapped
from sqlmodel import col

from db.engine import Rows, Selection
from db.models import Job, JobState, Quota, QuotaKind, Upload
from db.uploads import LIVE


async def stored(rows: Rows) -> tuple[int, int, int]:
    """Bytes of all versions, bytes held back for uploads, and files, of all workspaces together."""
    sums = [_total(col(getattr(Quota, name))).label(name) for name in ("used", "reserved", "files")]
    statement: Selection = select(*sums).where(col(Quota.kind) == QuotaKind.WORKSPACE)
    [row] = await rows.all(statement)
    return row.used, row.reserved, row.files


async def jobs(rows: Rows) -> list[tuple[str, str, int]]:
    """How many jobs there are, by kind and state."""
    statement = select(col(Job.kind), col(Job.state), func.count().label("number"))
    found = await rows.all(statement.group_by(col(Job.kind), col(Job.state)))
    return [(row.kind, row.state, row.number) for row in found]


async def longest_due(rows: Rows) -> datetime | None:
    """Since when the job has been due that has waited the longest; in the future, if none is."""
    statement = select(col(Job.run_at)).where(col(Job.state) == JobState.WAITING)
    first: datetime | None = await rows.scalar(statement.order_by(col(Job.run_at)).limit(1))
    return first


async def live_uploads(rows: Rows) -> list[tuple[str, str, int]]:
    """How many uploads have not ended, by transport and state."""
    statement = select(col(Upload.transport), col(Upload.state), func.count().label("number"))
    live = statement.where(col(Upload.state).in_(LIVE))
    found = await rows.all(live.group_by(col(Upload.transport), col(Upload.state)))
    return [(row.transport, row.state, row.number) for row in found]


def _total(column: Mapped[int]) -> ColumnElement[int]:
    # Without a row there is no sum; and PostgreSQL's sum of integers of 64 bits is a decimal.
    return cast(func.coalesce(func.sum(column), 0), BigInteger)
