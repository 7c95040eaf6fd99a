import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col
from structlog.testing import capture_logs

from api.ports import SystemClock
from api.worker import Pace, Worker
from db.engine import Database
from db.models import Event, Job
from db.rows import JobRow
from domain.jobs import Fate, Hopeless, JobFault, JobKind, JobKinds, NewJob, enqueue
from tests.api.working import NOTE
from tests.machine import PATIENCE_SECONDS

CLOCK = SystemClock()
QUICK = Pace(at_once=4, lease_seconds=1.5, poll_seconds=0.05, patience_seconds=0.05)
SLEEPY = Pace(at_once=4, lease_seconds=60, poll_seconds=3600, patience_seconds=0.05)

Handle = Callable[[JobRow], Awaitable[None]]


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@asynccontextmanager
async def at_work(
    db: Database, handle: Handle, pace: Pace = QUICK, grace_seconds: float = 5, **kind: Any
) -> AsyncIterator[Worker]:
    worker = Worker(db, CLOCK, JobKinds((JobKind(NOTE, handle, **kind),)), pace)
    running = asyncio.create_task(worker.run(grace_seconds))
    try:
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await running


async def add(db: Database, count: int = 1, **payload: Any) -> None:
    async with db.transaction() as tx:
        for number in range(count):
            await enqueue(tx, NewJob(NOTE, {"number": number, **payload}, CLOCK.now()))


async def kept(db: Database) -> list[Any]:
    columns = (col(Job.state), col(Job.attempts), col(Job.last_error), col(Job.payload), col(Job.leased_by))
    async with db.reading() as rows:
        return list(await rows.all(select(*columns).order_by(col(Job.id))))


async def until(reached: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await reached():  # noqa: ASYNC110 - what is waited for happens in other processes, too
            await asyncio.sleep(0.02)


async def until_done(db: Database) -> None:
    async def is_empty() -> bool:
        return await kept(db) == []

    await until(is_empty)


async def test_jobs_are_done_several_at_once_but_not_more(db: Database) -> None:
    now, most, done = 0, 0, []

    async def handle(job: JobRow) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        done.append((job.payload or {})["number"])

    await add(db, 20)
    async with at_work(db, handle):
        await until_done(db)
    assert sorted(done) == list(range(20))
    assert most == QUICK.at_once


async def test_a_worker_wakes_up_at_once_for_what_its_own_process_enqueues(db: Database) -> None:
    ran = asyncio.Event()

    async def handle(_job: JobRow) -> None:
        ran.set()

    async with at_work(db, handle, SLEEPY):
        await asyncio.sleep(0.2)
        await add(db)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ran.wait()
        await until_done(db)


async def test_a_worker_finds_what_other_processes_enqueue(db: Database, database_url: str) -> None:
    other = Database(database_url)
    ran = asyncio.Event()

    async def handle(_job: JobRow) -> None:
        ran.set()

    async with at_work(db, handle):
        await asyncio.sleep(0.2)
        await add(other)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ran.wait()
    await other.close()


async def test_a_job_that_fails_is_put_off_and_told(db: Database) -> None:
    async def handle(_job: JobRow) -> None:
        raise JobFault("not now")

    await add(db)
    with capture_logs() as lines:
        async with at_work(db, handle):
            await until(lambda: has_error(db))
    assert [(row.state, row.attempts, row.last_error) for row in await kept(db)] == [
        ("WAITING", 1, "JobFault: not now")
    ]
    [line] = lines
    assert (line["event"], line["log_level"], line["error"]) == ("job put off", "warning", "JobFault: not now")
    assert "frames" not in line


async def has_error(db: Database) -> bool:
    return any(row.last_error for row in await kept(db))


async def test_a_secret_of_a_job_that_breaks_is_in_no_row_no_event_and_no_line(db: Database) -> None:
    async def handle(job: JobRow) -> None:
        raise ValueError(str(job.payload))

    await add(db, secret="hunter2")
    with capture_logs() as lines:
        async with at_work(db, handle, is_secret=True, maximum_attempts=1):
            await until(lambda: has_error(db))
    async with db.reading() as rows:
        events = await rows.all(select(col(Event.kind), col(Event.data)))
    assert [event.kind for event in events] == ["job.died"]
    assert [(line["event"], line["log_level"]) for line in lines] == [("job dead", "error")]
    assert "test_worker.py" in lines[0]["frames"]
    assert "hunter2" not in f"{lines} {events} {await kept(db)}"


async def test_a_hopeless_job_is_dead_at_once(db: Database) -> None:
    async def handle(_job: JobRow) -> None:
        raise Hopeless("never")

    await add(db)
    with capture_logs():
        async with at_work(db, handle):
            await until(lambda: has_error(db))
    [row] = await kept(db)
    assert (row.state, row.attempts) == ("DEAD", 1)


async def test_a_job_that_takes_too_long_has_failed(db: Database) -> None:
    async def handle(_job: JobRow) -> None:
        await asyncio.sleep(60)

    await add(db)
    with capture_logs():
        async with at_work(db, handle, timeout_seconds=0.1):
            await until(lambda: has_error(db))
    [row] = await kept(db)
    assert (row.state, row.last_error) == ("WAITING", "TimeoutError")


async def test_a_lease_is_renewed_for_as_long_as_the_job_takes(db: Database, database_url: str) -> None:
    runs = 0

    async def handle(_job: JobRow) -> None:
        nonlocal runs
        runs += 1
        await asyncio.sleep(2 * QUICK.lease_seconds)

    other = Database(database_url)
    await add(db)
    async with at_work(db, handle), at_work(other, handle):
        await until_done(db)
    await other.close()
    assert runs == 1


async def test_a_worker_that_loses_a_job_stops_doing_it(db: Database) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def handle(job: JobRow) -> None:
        if job.attempts > 1:
            return
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    await add(db)
    with capture_logs() as lines:
        async with at_work(db, handle):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await begun.wait()
                await take_over(db, until=CLOCK.now())
                await stopped.wait()
            await until_done(db)
    assert sorted(line["event"] for line in lines) == ["job done", "the lease of a job was lost"]


async def test_who_finishes_a_job_that_was_taken_over_changes_nothing(db: Database) -> None:
    async def handle(_job: JobRow) -> None:
        await take_over(db, until=CLOCK.now() + timedelta(days=1))

    await add(db)
    with capture_logs() as lines:
        async with at_work(db, handle):
            await until(lambda: taken_over(db))
            await asyncio.sleep(0.2)
    [row] = await kept(db)
    assert (row.state, row.leased_by) == ("RUNNING", "other")
    assert [line["event"] for line in lines] == ["job lost"]


async def take_over(db: Database, until: datetime) -> None:
    """Do what another worker does that finds every lease run out."""
    async with db.transaction() as tx:
        await tx.execute(update(Job).values(leased_by="other", lease_until=until))


async def taken_over(db: Database) -> bool:
    return [row.leased_by for row in await kept(db)] == ["other"]


async def test_a_worker_that_stops_lets_jobs_end_and_begins_no_others(db: Database) -> None:
    begun = asyncio.Event()

    async def handle(_job: JobRow) -> None:
        begun.set()
        await asyncio.sleep(0.3)

    await add(db, 6)
    async with at_work(db, handle):
        await begun.wait()
    assert [row.state for row in await kept(db)] == ["WAITING", "WAITING"]


async def test_what_does_not_end_in_time_is_given_back_at_once(db: Database, database_url: str) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(_job: JobRow) -> None:
        begun.set()
        await asyncio.sleep(60)

    async def quick(job: JobRow) -> None:
        assert job.attempts == 1
        ended.set()

    await add(db)
    async with at_work(db, endless, SLEEPY, grace_seconds=0.1):
        await begun.wait()
    assert [(row.state, row.attempts, row.leased_by) for row in await kept(db)] == [("WAITING", 0, None)]
    other = Database(database_url)
    async with at_work(other, quick), asyncio.timeout(PATIENCE_SECONDS):
        await ended.wait()
    await other.close()


async def test_what_goes_on_where_it_was_is_given_back_as_soon_as_the_worker_stops(db: Database) -> None:
    begun = asyncio.Event()

    async def handle(_job: JobRow) -> None:
        begun.set()
        await asyncio.sleep(3600)

    await add(db)
    async with at_work(db, handle, grace_seconds=3600, is_cut_at_once=True):
        await begun.wait()
    assert [(row.state, row.attempts) for row in await kept(db)] == [("WAITING", 0)]


class Breakable(Database):
    """A database whose transactions can be made to fail."""

    is_broken = False

    def transaction(self) -> Any:
        if self.is_broken:
            raise ConnectionError
        return super().transaction()


async def test_a_job_that_is_done_while_the_database_is_away_is_not_done_again(database_url: str) -> None:
    db, runs = Breakable(database_url), 0

    async def handle(_job: JobRow) -> None:
        nonlocal runs
        runs += 1
        db.is_broken = True

    await add(db)
    with capture_logs() as lines:
        async with at_work(db, handle):
            await asyncio.sleep(2 * QUICK.lease_seconds)
            db.is_broken = False
            await until_done(db)
    await db.close()
    assert runs == 1, "its lease was over, but nobody else had taken it over"
    assert {line["event"] for line in lines} == {
        "the end of a job could not be written",
        "leases of jobs could not be renewed",
        "jobs could not be claimed",
        "job done",
    }


async def test_a_job_whose_lease_cannot_be_renewed_is_stopped_when_it_is_over(database_url: str) -> None:
    db, begun, stopped = Breakable(database_url), asyncio.Event(), asyncio.Event()

    async def handle(job: JobRow) -> None:
        if job.attempts > 1:
            return
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    await add(db)
    with capture_logs() as lines:
        async with at_work(db, handle):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await begun.wait()
                db.is_broken = True
                await stopped.wait()
            await asyncio.sleep(0.2)
            db.is_broken = False
            await until_done(db)
    await db.close()
    assert {line["event"] for line in lines} == {
        "leases of jobs could not be renewed",
        "the lease of a job was lost",
        "jobs could not be claimed",
        "job done",
    }


async def test_what_cannot_be_given_back_is_left_to_its_lease(database_url: str) -> None:
    db, begun = Breakable(database_url), asyncio.Event()

    async def handle(_job: JobRow) -> None:
        begun.set()
        await asyncio.sleep(60)

    await add(db)
    with capture_logs() as lines:
        async with at_work(db, handle, SLEEPY, grace_seconds=0.1):
            await begun.wait()
            db.is_broken = True
    assert {line["event"] for line in lines} == {"jobs could not be given back"}
    assert [row.state for row in await kept(db)] == ["RUNNING"]
    await db.close()


async def test_every_attempt_is_told_with_what_became_of_it_and_how_long_it_took(db: Database) -> None:
    told: list[tuple[str, Fate, float]] = []

    async def handle(job: JobRow) -> None:
        await asyncio.sleep(0.01)
        if (job.payload or {})["number"]:
            raise Hopeless("no")

    kinds = JobKinds((JobKind(NOTE, handle),))
    worker = Worker(db, CLOCK, kinds, QUICK, observe=lambda *attempt: told.append(attempt))
    running = asyncio.create_task(worker.run(5))
    await add(db, 2)

    async def are_told() -> bool:
        return len(told) == 2

    await until(are_told)
    worker.stop()
    await running
    assert sorted((kind, fate) for kind, fate, _ in told) == [(NOTE, Fate.DEAD), (NOTE, Fate.DONE)]
    assert min(seconds for _, _, seconds in told) > 0.005
