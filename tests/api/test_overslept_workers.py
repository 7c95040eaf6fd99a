"""Workers that were stopped for longer than their leases, anywhere, and go on."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from api.ports import SystemClock
from api.worker import Pace, Worker
from db.engine import Database
from db.models import Job
from db.rows import JobRow
from domain.jobs import JobKind, JobKinds, NewJob, enqueue
from tests.api.working import NOTE

PACE = Pace(at_once=4, lease_seconds=60, poll_seconds=0.02, patience_seconds=0.05)


class Leaping(SystemClock):
    """A clock that leaps once, as for a process that was stopped: when it is looked at so often after it is armed."""

    def __init__(self, looks: int) -> None:
        self.is_armed = False
        self._looks = looks
        self._leap = timedelta(0)

    def now(self) -> datetime:
        if self.is_armed:
            self._looks -= 1
            if self._looks == 0:
                self._leap = timedelta(seconds=2 * PACE.lease_seconds)
        return super().now() + self._leap


@pytest.mark.parametrize("looks", range(1, 7))
async def test_a_worker_does_not_take_its_own_job_over(database_url: str, looks: int) -> None:
    db, clock, runs = Database(database_url), Leaping(looks), 0
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(_job: JobRow) -> None:
        nonlocal runs
        runs += 1
        begun.set()
        await may_end.wait()
        ended.set()

    async with db.transaction() as tx:
        await enqueue(tx, NewJob(NOTE, {}, clock.now()))
    worker = Worker(db, clock, JobKinds((JobKind(NOTE, handle),)), PACE)
    working = asyncio.create_task(worker.run(grace_seconds=5))
    await begun.wait()
    clock.is_armed = True
    await asyncio.sleep(20 * PACE.poll_seconds)
    may_end.set()
    await ended.wait()
    worker.stop()
    await working
    async with db.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(Job)) == 0
    await db.close()
    assert runs == 1
