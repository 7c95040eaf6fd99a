"""Worker processes that share one table of jobs, and are killed and stopped at it."""

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select

from api.ports import SystemClock
from db.engine import Database
from db.models import Job
from domain.jobs import NewJob, enqueue
from tests.api.working import NOTE, PACE, working
from tests.machine import wait_for


async def add(db: Database, count: int) -> None:
    async with db.transaction() as tx:
        for number in range(count):
            await enqueue(tx, NewJob(NOTE, {"number": number}, SystemClock().now()))


def runs_in(notes: Path) -> dict[str, list[tuple[str, int]]]:
    """For each job that was begun or done, by whom and in which attempt, in order."""
    found: dict[str, list[tuple[str, int]]] = {}
    for line in notes.read_text().splitlines():
        what, job, _, process = line.split()
        found.setdefault(job, []).append((what, int(process)))
    return found


async def count(db: Database) -> int:
    async with db.reading() as rows:
        return int(await rows.scalar(select(func.count()).select_from(Job)))


@pytest.mark.slow
async def test_three_processes_do_two_thousand_jobs_once_each_though_one_is_killed(
    database_url: str, tmp_path: Path
) -> None:
    db, notes = Database(database_url), tmp_path / "notes"
    notes.touch()
    await add(db, 2000)
    with ExitStack() as processes:
        workers = [processes.enter_context(working(database_url, notes)) for _ in range(3)]
        killed = workers[0]

        def is_underway() -> bool:
            return {process.pid for process in workers} <= {
                process for run in runs_in(notes).values() for _, process in run
            }

        assert await asyncio.to_thread(wait_for, is_underway, 30)
        killed.kill()
        await asyncio.to_thread(killed.wait)
        left = await count(db)
        assert 0 < left < 2000
        await until_none_is_left(db, 120)
    await db.close()
    runs = runs_in(notes)
    assert len(runs) == 2000
    for run in runs.values():
        living = [what for what, process in run if process != killed.pid]
        dying = [what for what, process in run if process == killed.pid]
        # What a killed worker had under way is done again: before its end, or before that was written.
        assert (living, dying) in [(["begun", "done"], done) for done in ([], ["begun"], ["begun", "done"])] + [
            ([], ["begun", "done"])
        ]
    again = [run for run in runs.values() if len({process for _, process in run}) == 2]
    assert len(again) <= 8, "no more than it had under way"


async def until_none_is_left(db: Database, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while await count(db):  # noqa: ASYNC110 - it is other processes that do them
            await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_a_worker_that_was_stopped_for_longer_than_its_lease_does_no_harm(
    database_url: str, tmp_path: Path
) -> None:
    db, notes = Database(database_url), tmp_path / "notes"
    notes.touch()
    with working(database_url, notes) as asleep:
        await add(db, 300)
        assert await asyncio.to_thread(wait_for, lambda: len(runs_in(notes)) > 20, 30)
        asleep.send_signal(signal.SIGSTOP)
        with working(database_url, notes) as other:
            # On SQLite it may have been stopped with the one write lock in its hand.
            await asyncio.sleep(PACE.lease_seconds + 1)
            asleep.send_signal(signal.SIGCONT)
            await until_none_is_left(db, 60)
            assert other.pid != asleep.pid
    await db.close()
    runs = runs_in(notes)
    assert len(runs) == 300
    assert all(run.count(("done", process)) <= 1 for run in runs.values() for _, process in run)
