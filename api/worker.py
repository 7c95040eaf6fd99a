"""The worker: takes jobs that are due, does several at once, and keeps its leases while they last.

It wakes up at once for what its own process has enqueued, and looks every so often for what others have. Many workers
share one table, in one process or on many machines, whose clocks may differ by less than a lease.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter
from traceback import format_tb
from uuid import uuid4

from api.logs import get_logger, tell_fault
from db.engine import Database, Transaction
from db.jobs import Lease
from db.rows import JobRow
from domain import jobs
from domain.jobs import Fate, JobFault, JobKind, JobKinds
from domain.ports import Clock

CANCEL_SECONDS = 5.0

Observe = Callable[[str, Fate, float], None]
"""Told of each attempt that has ended: of the kind of its job, what became of it, and how many seconds it took."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many jobs at once, how long a lease is, how often to look, and how long to leave a failing database alone."""

    at_once: int = 8
    lease_seconds: float = 60
    poll_seconds: float = 1
    patience_seconds: float = 5


PACE = Pace()


def _unobserved(_kind: str, _fate: Fate, _seconds: float) -> None:
    """Nobody counts."""


@dataclass(slots=True)
class _Run:
    """An attempt under way. Once its handler has ended, nothing is left to be stopped, only its end to be written."""

    job: JobRow
    leased_until: datetime
    is_handled: bool = False


class Worker:
    """Does jobs of the kinds it knows, from `run` until it is told to stop."""

    def __init__(
        self, db: Database, clock: Clock, kinds: JobKinds, pace: Pace = PACE, observe: Observe = _unobserved
    ) -> None:
        self._name = uuid4().hex
        self._db = db
        self._clock = clock
        self._kinds = kinds
        self._pace = pace
        self._observe = observe
        self._runs: dict[asyncio.Task[None], _Run] = {}
        self._awake = asyncio.Event()
        self._stopping = False
        self._ended = asyncio.Event()
        db.bus.listen(jobs.TOPIC, lambda _: self._awake.set())

    def stop(self) -> None:
        """Take no more jobs, and let `run` end with those that are under way."""
        self._stopping = True
        self._awake.set()

    async def run(self, grace_seconds: float) -> None:
        """Do jobs until `stop`; what has not ended `grace_seconds` after it is given back for others to do."""
        renewing = asyncio.create_task(self._renew_until_the_end())
        while not self._stopping:
            self._awake.clear()
            if not await self._begin_some():
                await self._rest()
        await self._wind_down(grace_seconds)
        self._ended.set()
        await renewing

    async def _begin_some(self) -> bool:
        """Whether there may be more to begin."""
        room, lease = self._pace.at_once - len(self._runs), self._lease()
        try:
            if self._has_overslept(lease.now):
                await self._renew(dict(self._runs))
            taken = await self._claim(room, lease) if room else []
        except Exception as fault:  # noqa: BLE001 - whatever the database has, it may be over next time
            tell_fault(_log, "jobs could not be claimed", fault)
            await self._rest(self._pace.patience_seconds)
            return False
        for run in taken:
            # A context of its own: the lines it logs are those of no request.
            task = asyncio.get_running_loop().create_task(self._do(run), context=Context())
            self._runs[task] = run
            task.add_done_callback(self._forget)
        return bool(taken) and len(self._runs) < self._pace.at_once

    def _has_overslept(self, now: datetime) -> bool:
        # Then what is still its own is renewed before anything is claimed as of that time: those would be the same jobs
        # again. A process may be stopped anywhere in between, so that no later time will do.
        return any(run.leased_until <= now for run in self._runs.values())

    async def _claim(self, room: int, lease: Lease) -> list[_Run]:
        async with self._db.reading() as rows:
            if not await jobs.is_due(rows, self._kinds, lease.now):
                return []
        async with self._db.transaction() as tx:
            taken = await jobs.claim(tx, self._kinds, lease, room)
        return [_Run(job, lease.until) for job in taken]

    def _lease(self) -> Lease:
        now = self._clock.now()
        return Lease(self._name, now, now + timedelta(seconds=self._pace.lease_seconds))

    async def _rest(self, seconds: float | None = None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds or self._pace.poll_seconds):
                await self._awake.wait()

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._runs[task]
        self._awake.set()

    async def _do(self, run: _Run) -> None:
        job, kind = run.job, self._kinds.of(run.job)
        began_at = perf_counter()
        try:
            async with asyncio.timeout(kind.timeout_seconds):
                await kind.handle(job)
        except Exception as fault:  # noqa: BLE001 - it is told with the job, which is tried again
            run.is_handled = True
            seconds = perf_counter() - began_at
            fate = await self._settle(run, partial(_fail, self._kinds, job, fault, self._clock))
            _report(fate, kind, job, fault)
        else:
            run.is_handled = True
            seconds = perf_counter() - began_at
            fate = await self._settle(run, partial(_finish, job))
            _report(fate, kind, job, None)
        self._observe(kind.name, fate, seconds)

    async def _settle(self, run: _Run, write: Callable[[Transaction], Awaitable[Fate]]) -> Fate:
        # As long as it takes: a job that is done should not be done again only because the database was away.
        while True:
            try:
                async with self._db.transaction() as tx:
                    return await write(tx)
            except Exception as fault:  # noqa: BLE001 - see above
                tell_fault(_log, "the end of a job could not be written", fault, job=run.job.id.hex)
                await asyncio.sleep(self._pace.patience_seconds)

    async def _renew_until_the_end(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.lease_seconds / 3):
                    await self._ended.wait()
            try:
                await self._renew(dict(self._runs))
            except Exception as fault:  # noqa: BLE001 - there are two more tries before a lease is over
                tell_fault(_log, "leases of jobs could not be renewed", fault)
                now = self._clock.now()
                self._lose([task for task, run in self._runs.items() if run.leased_until <= now])

    async def _renew(self, runs: dict[asyncio.Task[None], _Run]) -> None:
        if not runs:
            return
        lease = self._lease()
        async with self._db.transaction() as tx:
            kept = await jobs.renew(tx, [run.job for run in runs.values()], lease)
        for run in runs.values():
            run.leased_until = lease.until if run.job.id in kept else run.leased_until
        self._lose([task for task, run in runs.items() if run.job.id not in kept])

    def _lose(self, tasks: Collection[asyncio.Task[None]]) -> None:
        for task in tasks:
            run = self._runs.get(task)
            # One whose handler has ended finds out by itself whether it is late.
            if run is not None and not run.is_handled:
                task.cancel()
                _log.warning("the lease of a job was lost", job=run.job.id.hex)

    async def _wind_down(self, grace_seconds: float) -> None:
        cut = {task: run for task, run in self._runs.items() if self._is_cut_at_once(run)}
        for task in cut:
            task.cancel()
        if self._runs:
            await asyncio.wait(set(self._runs), timeout=grace_seconds)
        left = cut | self._runs
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCEL_SECONDS)
            await self._give_back([run.job for run in left.values()])

    def _is_cut_at_once(self, run: _Run) -> bool:
        return self._kinds.of(run.job).is_cut_at_once and not run.is_handled

    async def _give_back(self, left: Collection[JobRow]) -> None:
        try:
            async with self._db.transaction() as tx:
                for job in left:
                    await jobs.give_back(tx, job, self._clock.now())
        except Exception as fault:  # noqa: BLE001 - then their leases run out
            tell_fault(_log, "jobs could not be given back", fault)


async def _finish(job: JobRow, tx: Transaction) -> Fate:
    return await jobs.finish(tx, job)


async def _fail(kinds: JobKinds, job: JobRow, fault: Exception, clock: Clock, tx: Transaction) -> Fate:
    return await jobs.fail(tx, kinds, job, fault, clock.now())


def _report(fate: Fate, kind: JobKind, job: JobRow, fault: Exception | None) -> None:
    facts = {"job": job.id.hex, "kind": job.kind, "attempt": job.attempts}
    if fault is None:
        (_log.warning if fate is Fate.LOST else _log.debug)(f"job {fate}", **facts)
        return
    facts["error"] = jobs.describe(kind, fault)
    if not isinstance(fault, JobFault):
        # Frames without what the fault says, which for a secret job could be the secret.
        facts["frames"] = "".join(format_tb(fault.__traceback__))
    (_log.error if fate is Fate.DEAD else _log.warning)(f"job {fate}", **facts)
