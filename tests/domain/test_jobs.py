import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database
from db.jobs import Lease
from db.models import Event, Job, JobState
from db.rows import JobRow
from domain import jobs
from domain.errors import Forbidden, NotFound
from domain.jobs import Fate, Hopeless, JobFault, JobKind, JobKinds, NewJob
from tests.records import NOW, MovableClock

LEASE = timedelta(seconds=60)


async def nothing(_job: JobRow) -> None:
    return


KINDS = JobKinds(
    (JobKind("note", nothing, maximum_attempts=3), JobKind("whisper", nothing, maximum_attempts=2, is_secret=True))
)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


async def add(db: Database, number: int = 0, kind: str = "note", **given: Any) -> UUID | None:
    async with db.transaction() as tx:
        return await jobs.enqueue(tx, NewJob(kind, {"number": number}, NOW, **given))


async def claim(db: Database, clock: MovableClock, worker: str = "w", limit: int = 10) -> list[JobRow]:
    async with db.transaction() as tx:
        return await jobs.claim(tx, KINDS, Lease(worker, clock.now(), clock.now() + LEASE), limit)


async def fail(db: Database, clock: MovableClock, job: JobRow, fault: Exception) -> Fate:
    async with db.transaction() as tx:
        return await jobs.fail(tx, KINDS, job, fault, clock.now())


async def finish(db: Database, job: JobRow) -> Fate:
    async with db.transaction() as tx:
        return await jobs.finish(tx, job)


async def is_due(db: Database, clock: MovableClock) -> bool:
    async with db.reading() as rows:
        return await jobs.is_due(rows, KINDS, clock.now())


async def kept(db: Database) -> list[Any]:
    async with db.reading() as rows:
        return list(await rows.all(select(*Job.metadata.tables["jobs"].columns).order_by(col(Job.id))))


async def deaths(db: Database) -> list[Any]:
    async with db.reading() as rows:
        return list(await rows.all(select(col(Event.target_id), col(Event.data)).where(col(Event.kind) == "job.died")))


async def test_a_job_is_claimed_once_done_and_gone(db: Database, clock: MovableClock) -> None:
    job_id = await add(db, 7)
    assert await is_due(db, clock)
    [job] = await claim(db, clock)
    assert job == JobRow(UUID(str(job_id)), "note", {"number": 7}, 1, "w")
    assert not await is_due(db, clock)
    assert await claim(db, clock, "other") == []
    assert await finish(db, job) is Fate.DONE
    assert await kept(db) == []
    assert await finish(db, job) is Fate.LOST


async def test_a_job_of_a_transaction_that_fails_does_not_exist_and_nobody_is_told(db: Database) -> None:
    told: list[str] = []
    db.bus.listen(jobs.TOPIC, lambda _: told.append("!"))
    with pytest.raises(ZeroDivisionError):
        await add_and_fail(db)
    assert (await kept(db), told) == ([], [])
    await add(db)
    assert told == ["!"]


async def add_and_fail(db: Database) -> None:
    async with db.transaction() as tx:
        await jobs.enqueue(tx, NewJob("note", {}, NOW))
        raise ZeroDivisionError


async def test_jobs_come_in_the_order_they_are_due_and_not_before(db: Database, clock: MovableClock) -> None:
    late = await add(db, run_at=NOW + timedelta(minutes=2))
    soon = await add(db, run_at=NOW + timedelta(minutes=1))
    now = await add(db)
    assert [job.id for job in await claim(db, clock)] == [now]
    clock.forward(seconds=59)
    assert not await is_due(db, clock)
    assert await claim(db, clock) == []
    clock.forward(hours=1)
    [first, second] = await claim(db, clock, limit=2)
    assert (first.id, second.id) == (now, soon), "an orphan comes first"
    assert [job.id for job in await claim(db, clock)] == [late]


async def test_jobs_of_a_kind_that_a_worker_does_not_know_are_left_to_others(db: Database, clock: MovableClock) -> None:
    await add(db, kind="of tomorrow")
    assert not await is_due(db, clock)
    assert await claim(db, clock) == []


async def test_of_the_unfinished_jobs_of_a_kind_one_has_a_key(db: Database, clock: MovableClock) -> None:
    first = await add(db, dedup_key="a")
    assert await add(db, dedup_key="a") is None
    assert await add(db, dedup_key="b") is not None
    assert await add(db, kind="whisper", dedup_key="a") is not None
    assert await add(db) is not None
    assert await add(db) is not None, "no key, no limit"
    [job, *_] = await claim(db, clock)
    assert (job.id, await add(db, dedup_key="a")) == (first, None), "one that runs is unfinished too"
    await finish(db, job)
    second = await add(db, dedup_key="a")
    assert second is not None
    [job] = await claim(db, clock)
    await fail(db, clock, job, Hopeless("no"))
    assert await add(db, dedup_key="a") is not None, "a dead one is in nobody's way"


async def test_of_fifty_at_once_one_is_written(db: Database) -> None:
    made = await asyncio.gather(*(add(db, number, dedup_key="a") for number in range(50)))
    assert len([one for one in made if one is not None]) == 1
    assert len(await kept(db)) == 1


async def test_workers_that_claim_at_once_never_get_the_same_job(db: Database, clock: MovableClock) -> None:
    for number in range(40):
        await add(db, number)
    found = await asyncio.gather(*(claim(db, clock, f"w{number}", 7) for number in range(8)))
    ids = [job.id for batch in found for job in batch]
    assert len(ids) == len(set(ids))
    assert len(ids) + len(await claim(db, clock, "rest", 100)) == 40


async def test_a_lease_that_is_not_renewed_ends_and_another_worker_takes_over(
    db: Database, clock: MovableClock
) -> None:
    await add(db)
    [asleep] = await claim(db, clock, "a")
    clock.forward(seconds=60)
    [taken] = await claim(db, clock, "b")
    assert (taken.attempts, taken.leased_by) == (2, "b")
    assert await finish(db, asleep) is Fate.LOST
    assert await fail(db, clock, asleep, JobFault("late")) is Fate.LOST
    assert await fail(db, clock, asleep, Hopeless("late")) is Fate.LOST
    assert await deaths(db) == []
    assert await finish(db, taken) is Fate.DONE


async def test_an_attempt_is_told_from_another_of_the_same_worker(db: Database, clock: MovableClock) -> None:
    await add(db)
    [first] = await claim(db, clock)
    clock.forward(seconds=60)
    [second] = await claim(db, clock)
    async with db.transaction() as tx:
        assert await jobs.renew(tx, [first], Lease("w", clock.now(), clock.now() + LEASE)) == set()
        assert await jobs.renew(tx, [first, second], Lease("w", clock.now(), clock.now() + LEASE)) == {second.id}
    assert await finish(db, first) is Fate.LOST


async def test_a_lease_that_is_renewed_does_not_end(db: Database, clock: MovableClock) -> None:
    await add(db)
    await add(db)
    held = await claim(db, clock)
    for _ in range(5):
        clock.forward(seconds=40)
        async with db.transaction() as tx:
            lease = Lease("w", clock.now(), clock.now() + LEASE)
            assert await jobs.renew(tx, held, lease) == {job.id for job in held}
        assert await claim(db, clock, "other") == []
    async with db.transaction() as tx:
        assert await jobs.renew(tx, held, replace(lease, worker="other")) == set()


async def test_a_failed_job_waits_longer_each_time_and_then_it_is_dead(db: Database, clock: MovableClock) -> None:
    job_id = await add(db, 1)
    for attempt, seconds in ((1, 10), (2, 20)):
        [job] = await claim(db, clock)
        assert job.attempts == attempt
        assert await fail(db, clock, job, ValueError("a\0b\ud800\n c")) is Fate.PUT_OFF
        [row] = await kept(db)
        assert (row.state, row.last_error, row.lease_until, row.leased_by) == (
            "WAITING",
            "ValueError: a b c",
            None,
            None,
        )
        assert 0.75 * seconds <= (row.run_at - clock.now()).total_seconds() <= 1.25 * seconds
        assert await claim(db, clock) == []
        clock.forward(seconds=1.25 * seconds)
    [job] = await claim(db, clock)
    assert await fail(db, clock, job, ValueError()) is Fate.DEAD
    [row] = await kept(db)
    assert (row.state, row.last_error, row.payload) == ("DEAD", "ValueError", {"number": 1})
    assert await deaths(db) == [(job_id, {"kind": "note", "attempts": 3})]
    clock.forward(days=300)
    assert await claim(db, clock) == []


async def test_a_hopeless_job_is_dead_at_once(db: Database, clock: MovableClock) -> None:
    await add(db)
    [job] = await claim(db, clock)
    assert await fail(db, clock, job, Hopeless("there is no such person")) is Fate.DEAD
    async with db.reading() as rows:
        [dead] = await jobs.dead(rows)
    assert (dead.id, dead.attempts, dead.last_error) == (job.id, 1, "Hopeless: there is no such person")
    assert dead.can_be_retried


async def test_a_job_that_kills_its_workers_is_given_up(db: Database, clock: MovableClock) -> None:
    await add(db)
    for attempt in (1, 2, 3):
        [job] = await claim(db, clock, f"w{attempt}")
        assert job.attempts == attempt
        clock.forward(seconds=60)
    assert await claim(db, clock) == []
    [row] = await kept(db)
    assert (row.state, row.last_error) == ("DEAD", "its worker gave no sign of life")
    assert len(await deaths(db)) == 1


async def test_a_job_that_is_given_back_waits_for_another_and_has_lost_no_attempt(
    db: Database, clock: MovableClock
) -> None:
    await add(db, kind="whisper")
    told: list[str] = []
    db.bus.listen(jobs.TOPIC, lambda _: told.append("!"))
    for worker in ("a", "b", "c"):
        [job] = await claim(db, clock, worker)
        assert job.attempts == 1
        async with db.transaction() as tx:
            await jobs.give_back(tx, job, clock.now())
        assert await finish(db, job) is Fate.LOST
    assert told == ["!", "!", "!"]


async def test_a_secret_payload_does_not_outlive_its_job_nor_stand_in_its_error(
    db: Database, clock: MovableClock
) -> None:
    job_id = await add(db, 4711, kind="whisper")
    for fault in (ValueError("4711"), JobFault("550")):
        [job] = await claim(db, clock)
        await fail(db, clock, job, fault)
        [row] = await kept(db)
        assert row.last_error == ("ValueError" if isinstance(fault, ValueError) else "JobFault: 550")
        clock.forward(minutes=1)
    assert (row.state, row.payload) == ("DEAD", None)
    assert "4711" not in str(await deaths(db))
    async with db.transaction() as tx:
        assert not (await jobs.dead(tx))[0].can_be_retried
        with pytest.raises(Forbidden, match="asked for anew"):
            await jobs.retry(tx, row.id, clock.now())
    assert row.id == job_id


async def test_a_dead_job_can_be_put_back_once_and_nothing_else_can(db: Database, clock: MovableClock) -> None:
    dying = await add(db, 1, dedup_key="a")
    [job] = await claim(db, clock)
    await fail(db, clock, job, Hopeless("no"))
    waiting = await add(db, 2)
    assert dying
    assert waiting
    async with db.transaction() as tx:
        await jobs.retry(tx, dying, clock.now())
    for absent in (dying, waiting, uuid7()):
        with pytest.raises(NotFound, match=r"There is no such dead job\."):
            await retry(db, clock, absent)
    [again, _] = await claim(db, clock)
    assert (again.id, again.attempts, again.payload) == (dying, 1, {"number": 1})


async def test_a_dead_job_stays_dead_while_another_does_the_same(db: Database, clock: MovableClock) -> None:
    dying = await add(db, dedup_key="a")
    [job] = await claim(db, clock)
    await fail(db, clock, job, Hopeless("no"))
    await add(db, dedup_key="a")
    assert dying
    with pytest.raises(Forbidden, match="Another job does the same"):
        await retry(db, clock, dying)
    assert [row.state for row in await kept(db)] == [JobState.DEAD, JobState.WAITING]


async def retry(db: Database, clock: MovableClock, job_id: UUID) -> None:
    async with db.transaction() as tx:
        await jobs.retry(tx, job_id, clock.now())


def test_delays_grow_to_an_hour_and_differ_between_jobs_but_not_between_workers() -> None:
    rows = [JobRow(uuid7(), "note", {}, attempts, "w") for attempts in (1, 2, 3, 9, 10, 1000)]
    for row, seconds in zip(rows, (10, 20, 40, 2560, 3600, 3600), strict=True):
        assert 0.75 * seconds <= jobs.retry_delay(row).total_seconds() <= 1.25 * seconds
        assert jobs.retry_delay(row._replace(leased_by="other")) == jobs.retry_delay(row)
    assert len({jobs.retry_delay(JobRow(uuid7(), "note", {}, 1, "w")) for _ in range(20)}) > 10


def test_what_is_kept_of_a_fault_is_bounded() -> None:
    assert len(jobs.describe(KINDS.kinds[0], ValueError("x" * 10_000_000))) == jobs.ERROR_CHARACTERS
