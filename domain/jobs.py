"""Jobs: work written in the transaction of the change that asks for it, and done after it, at least once.

Who runs them, and how many at a time, is the worker's business. A handler runs outside transactions. It may be cut off
after its work and before its end is written, and then runs again: what it does twice must do no harm.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from db import jobs
from db.engine import Rows, Transaction
from db.jobs import Lease
from db.models import Job, JobState
from db.rows import DeadJobRow, JobRow
from db.violations import Duplicate
from domain.errors import Forbidden, NotFound
from domain.events import EventKind, RequestFacts, Subject, event

TOPIC = "jobs"
FIRST_DELAY_SECONDS = 10.0
LONGEST_DELAY_SECONDS = 3600.0
JITTER = 0.25
ERROR_CHARACTERS = 300
MAXIMUM_LISTED = 1000

_log = logging.getLogger(__name__)


class JobFault(Exception):  # noqa: N818 - the word for what goes wrong with a job
    """A handler's own word for what went wrong. It is kept with the job, so it holds nothing secret."""


class Hopeless(JobFault):
    """What went wrong will go wrong each time: the job is given up at once."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to be done: at once, or not before `run_at`.

    While a job of this kind and `dedup_key` is unfinished, waiting or running, no second one is made: its handler must
    look for what there is to do, rather than be told.
    """

    kind: str
    payload: dict[str, Any]
    created_at: datetime
    run_at: datetime | None = None
    dedup_key: str | None = None


@dataclass(frozen=True, slots=True)
class JobKind:
    """How jobs of a kind are done, and how often that is tried.

    A secret payload does not outlive the job, not even a dead one's; of what its handler raises only a JobFault is
    believed to hold nothing of it. One that lasts long and goes on where it was is cut at once when its worker stops.
    """

    name: str
    handle: Callable[[JobRow], Awaitable[None]]
    maximum_attempts: int = 10
    timeout_seconds: float = 600
    is_secret: bool = False
    is_cut_at_once: bool = False


@dataclass(frozen=True, slots=True)
class JobKinds:
    """Every kind that a worker knows. Jobs of other kinds wait for one that knows them."""

    kinds: tuple[JobKind, ...]

    @property
    def names(self) -> list[str]:
        """What the kinds are called."""
        return [kind.name for kind in self.kinds]

    def of(self, job: JobRow) -> JobKind:
        """The kind of a job that was taken for its kind."""
        return next(kind for kind in self.kinds if kind.name == job.kind)


class Fate(StrEnum):
    """What became of an attempt. Lost: somebody else had taken the job over, and nothing was written."""

    DONE = "done"
    PUT_OFF = "put off"
    DEAD = "dead"
    LOST = "lost"


async def enqueue(tx: Transaction, job: NewJob) -> UUID | None:
    """Have work done once this transaction is committed. The job's id; None where an unfinished one does it already."""
    row = Job(
        kind=job.kind,
        payload=job.payload,
        dedup_key=job.dedup_key,
        run_at=job.run_at or job.created_at,
        created_at=job.created_at,
        updated_at=job.created_at,
    )
    if not await jobs.add(tx, row):
        return None
    tx.tell(TOPIC)
    return row.id


async def is_due(rows: Rows, kinds: JobKinds, now: datetime) -> bool:
    """Whether there is anything to claim; asked first, because claiming takes locks."""
    return await jobs.is_due(rows, kinds.names, now)


async def claim(tx: Transaction, kinds: JobKinds, lease: Lease, limit: int) -> list[JobRow]:
    """Jobs for this worker alone, until its lease is over: those that are due, and those whose worker is gone.

    A job that was under way in each of its attempts when its worker died is given up: it may be what kills them.
    """
    found = await jobs.lock_due(tx, kinds.names, lease.now, limit)
    worn = [job for job, state in found if state is JobState.RUNNING and _is_last_attempt(kinds, job)]
    for job in worn:
        _log.error("job %s of kind %s is dead: its workers gave no sign of life", job.id.hex, job.kind)
        await _bury(tx, kinds, job, "its worker gave no sign of life", lease.now)
    taken = [job._replace(attempts=job.attempts + 1, leased_by=lease.worker) for job, _ in found if job not in worn]
    if taken:
        await jobs.take(tx, [job.id for job in taken], lease)
    return taken


async def renew(tx: Transaction, held: Sequence[JobRow], lease: Lease) -> set[UUID]:
    """Prolong the leases of jobs that are being done; the ids of those that nobody else has taken over."""
    return await jobs.renew(tx, held, lease)


async def finish(tx: Transaction, job: JobRow) -> Fate:
    """A job is done, and its row goes."""
    return Fate.DONE if await jobs.remove(tx, job) else Fate.LOST


async def fail(tx: Transaction, kinds: JobKinds, job: JobRow, fault: Exception, now: datetime) -> Fate:
    """An attempt failed: the job waits for the next one, or is dead when it was the last or there is no hope."""
    error = describe(kinds.of(job), fault)
    if isinstance(fault, Hopeless) or _is_last_attempt(kinds, job):
        return await _bury(tx, kinds, job, error, now)
    values = {
        "state": JobState.WAITING,
        "run_at": now + retry_delay(job),
        "last_error": error,
        "updated_at": now,
    }
    return Fate.PUT_OFF if await jobs.put_back(tx, job, values) else Fate.LOST


async def give_back(tx: Transaction, job: JobRow, now: datetime) -> None:
    """Let another worker do a job at once that this one has no time for any more. The attempt does not count."""
    # The same number of attempts comes again, under another worker's name: this one claims nothing more.
    values = {"state": JobState.WAITING, "attempts": job.attempts - 1, "run_at": now, "updated_at": now}
    await jobs.put_back(tx, job, values)
    tx.tell(TOPIC)


async def dead(rows: Rows) -> list[DeadJobRow]:
    """Jobs that have been given up, the latest first, up to a thousand; for operators."""
    return await jobs.dead(rows, MAXIMUM_LISTED)


async def retry(tx: Transaction, job_id: UUID, now: datetime) -> None:
    """Have a dead job done after all; for operators. Raises NotFound and Forbidden."""
    has_payload = await jobs.has_payload(tx, job_id)
    if has_payload is None:
        raise NotFound(message="There is no such dead job.")
    if not has_payload:
        raise Forbidden(message="What the job was about was secret and is gone: it has to be asked for anew.")
    try:
        await jobs.revive(tx, job_id, now)
    except Duplicate:
        raise Forbidden(message="Another job does the same already.") from None
    tx.tell(TOPIC)


def retry_delay(job: JobRow) -> timedelta:
    """How long a failed job waits: twice as long after each attempt, an hour at most, a quarter more or less.

    The quarter depends on the job and the attempt alone, so that jobs that failed together do not come together again.
    """
    seconds = min(FIRST_DELAY_SECONDS * 2.0 ** min(job.attempts - 1, 30), LONGEST_DELAY_SECONDS)
    share = int.from_bytes(sha256(job.id.bytes + job.attempts.to_bytes(4, "big")).digest()[:4], "big") / 2**32
    return timedelta(seconds=seconds * (1 - JITTER + 2 * JITTER * share))


def describe(kind: JobKind, fault: Exception) -> str:
    """What is kept of a fault: its class and, unless that could give a secret away, what it says; bounded."""
    name = type(fault).__name__
    if kind.is_secret and not isinstance(fault, JobFault):
        return name
    begun = str(fault)[: 10 * ERROR_CHARACTERS]  # more than is kept, since spaces are joined
    said = " ".join("".join(char if char.isprintable() else " " for char in begun).split())
    return f"{name}: {said}"[:ERROR_CHARACTERS] if said else name


def _is_last_attempt(kinds: JobKinds, job: JobRow) -> bool:
    return job.attempts >= kinds.of(job).maximum_attempts


async def _bury(tx: Transaction, kinds: JobKinds, job: JobRow, error: str, now: datetime) -> Fate:
    if not await jobs.bury(tx, job, error, now, with_payload=not kinds.of(job).is_secret):
        return Fate.LOST
    subject = Subject(target_id=job.id, data={"kind": job.kind, "attempts": job.attempts})
    await tx.add(event(EventKind.JOB_DIED, subject, RequestFacts(), now))
    return Fate.DEAD
