"""Selects and writes on jobs: which are due, whose lease they are under, and what has become of them.

Whoever changes a job that runs names the lease it runs under: the worker and the attempt. A worker that slept through
its lease finds that it touches no row.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, exists, null, or_, select, tuple_, update
from sqlalchemy.orm import Mapped
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import Job, JobState
from db.rows import DeadJobRow, JobRow

_COLUMNS = (col(Job.id), col(Job.kind), col(Job.payload), col(Job.attempts), col(Job.leased_by))


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold of jobs, from now until then."""

    worker: str
    now: datetime
    until: datetime


async def add(tx: Transaction, job: Job) -> bool:
    """Write a job, unless an unfinished one of its kind has its `dedup_key`. Whether it was written."""
    return await tx.add_unless_there(job)


async def is_due(rows: Rows, kinds: Collection[str], now: datetime) -> bool:
    """Whether a job of these kinds waits for nobody but a worker."""
    # Two questions, each of which ends at the first row of its index, however many wait.
    some = [exists().where(which, col(Job.kind).in_(kinds)) for which in (_is_orphaned(now), _waits(now))]
    return bool(await rows.scalar(select(or_(*some))))


async def lock_due(tx: Transaction, kinds: Collection[str], now: datetime, limit: int) -> list[tuple[JobRow, JobState]]:
    """Jobs to be taken, each with the state it is found in, the longest due first; nobody else can take them now.

    Jobs whose worker gave no sign of life come before those that wait.
    """
    found = await _locked(tx, kinds, _is_orphaned(now), col(Job.lease_until), limit)
    if len(found) < limit:
        found += await _locked(tx, kinds, _waits(now), col(Job.run_at), limit - len(found))
    return [(JobRow._make(row[:-1]), JobState(row[-1])) for row in found]


async def take(tx: Transaction, job_ids: Sequence[UUID], lease: Lease) -> None:
    """Put locked jobs under a lease; another attempt of each begins."""
    await tx.execute(
        update(Job)
        .where(col(Job.id).in_(job_ids))
        .values(
            state=JobState.RUNNING,
            attempts=col(Job.attempts) + 1,
            lease_until=lease.until,
            leased_by=lease.worker,
            updated_at=lease.now,
        )
    )


async def renew(tx: Transaction, held: Sequence[JobRow], lease: Lease) -> set[UUID]:
    """Prolong the leases of jobs of one worker; the ids of those that are still its own."""
    attempts = [(job.id, job.attempts) for job in held]
    statement = (
        update(Job)
        .where(
            tuple_(col(Job.id), col(Job.attempts)).in_(attempts),
            col(Job.leased_by) == lease.worker,
            col(Job.state) == JobState.RUNNING,
        )
        .values(lease_until=lease.until)
        .returning(col(Job.id))
    )
    return {job_id for (job_id,) in await tx.all(statement)}


async def remove(tx: Transaction, job: JobRow) -> bool:
    """Remove a job that is done. False when it was not the caller's any more."""
    return await tx.execute(delete(Job).where(_is_under_lease_of(job))) == 1


async def put_back(tx: Transaction, job: JobRow, values: dict[str, Any]) -> bool:
    """End the lease of a job that is not done, and change it besides. False when it was not the caller's any more."""
    free = {"lease_until": None, "leased_by": None}
    return await tx.execute(update(Job).where(_is_under_lease_of(job)).values(**free | values)) == 1


async def bury(tx: Transaction, job: JobRow, error: str, now: datetime, *, with_payload: bool) -> bool:
    """Give a job up for good. False when it was not the caller's any more."""
    values = {"state": JobState.DEAD, "last_error": error, "updated_at": now}
    return await put_back(tx, job, values if with_payload else values | {"payload": null()})


async def dead(rows: Rows, limit: int) -> list[DeadJobRow]:
    """Jobs that have been given up, the latest first."""
    columns = (
        col(Job.id),
        col(Job.kind),
        col(Job.attempts),
        col(Job.last_error),
        col(Job.created_at),
        col(Job.updated_at),
        col(Job.payload).is_not(None),
    )
    statement = select(*columns).where(col(Job.state) == JobState.DEAD).order_by(col(Job.id).desc())
    return [DeadJobRow._make(row) for row in await rows.all(statement.limit(limit))]


async def has_payload(rows: Rows, job_id: UUID) -> bool | None:
    """Whether a dead job could run again; None when there is no such dead job."""
    statement = select(col(Job.payload).is_not(None)).where(col(Job.id) == job_id, col(Job.state) == JobState.DEAD)
    found = await rows.scalar(statement)
    return None if found is None else bool(found)


async def revive(tx: Transaction, job_id: UUID, now: datetime) -> bool:
    """Have a dead job wait again, as if it were new. Whether there was one. Raises Duplicate."""
    values = {"state": JobState.WAITING, "attempts": 0, "run_at": now, "last_error": None, "updated_at": now}
    statement = update(Job).where(col(Job.id) == job_id, col(Job.state) == JobState.DEAD)
    return await tx.execute(statement.values(**values)) == 1


def _waits(now: datetime) -> ColumnElement[bool]:
    return and_(col(Job.state) == JobState.WAITING, col(Job.run_at) <= now)


def _is_orphaned(now: datetime) -> ColumnElement[bool]:
    return and_(col(Job.state) == JobState.RUNNING, col(Job.lease_until) <= now)


def _is_under_lease_of(job: JobRow) -> ColumnElement[bool]:
    return and_(
        col(Job.id) == job.id,
        col(Job.state) == JobState.RUNNING,
        col(Job.leased_by) == job.leased_by,
        col(Job.attempts) == job.attempts,
    )


async def _locked(
    tx: Transaction, kinds: Collection[str], which: ColumnElement[bool], order: Mapped[Any], limit: int
) -> list[Row[Any]]:
    # PostgreSQL leaves out what another worker is taking; on SQLite the transaction holds the one write lock already.
    statement: Selection = (
        select(*_COLUMNS, col(Job.state)).where(which, col(Job.kind).in_(kinds)).order_by(order, col(Job.id))
    )
    return list(await tx.all(statement.limit(limit).with_for_update(skip_locked=True)))
