"""A worker in a process of its own, whose jobs write down that they ran: `python -m tests.api.working URL NOTES`.

It does what comes until it is told to stop; each run of a job is two lines in the file NOTES, begun and done.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.logs import configure_logs
from api.ports import SystemClock
from api.worker import Pace, Worker
from db.engine import Database
from db.rows import JobRow
from domain.jobs import JobKind, JobKinds
from tests.live import STOP_SECONDS
from tests.programs import Program, outside, start

NOTE = "test.note"
PACE = Pace(at_once=8, lease_seconds=10, poll_seconds=0.05, patience_seconds=0.1)


async def work(url: str, notes: Path) -> None:
    """Do jobs until SIGTERM."""
    configure_logs("error", "console", sys.stderr)
    db = Database(url)

    async def handle(job: JobRow) -> None:
        _note(notes, "begun", job)
        await asyncio.sleep(random.random() * 0.01)
        _note(notes, "done", job)

    worker = Worker(db, SystemClock(), JobKinds((JobKind(NOTE, handle),)), PACE)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    try:
        await worker.run(grace_seconds=5)
    finally:
        await db.close()


def _note(notes: Path, what: str, job: JobRow) -> None:
    with notes.open("a") as file:  # one short write to the end of a file is never torn
        file.write(f"{what} {job.id.hex} {job.attempts} {os.getpid()}\n")


@contextmanager
def working(url: str, notes: Path) -> Iterator[Program]:
    """A process that works until the block ends."""
    process = start("tests.api.working", url, str(notes), folder=notes.parent, environment=outside())
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(STOP_SECONDS)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], Path(sys.argv[2])))
