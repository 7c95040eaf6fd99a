"""Scrubbing: blobs are read again, the longest unread first, so that what a disk changed or lost is found in time.

One after the other and at a gentle pace, by one job at a time in the whole service. How far it has come stands with
the blobs themselves.
"""

import logging
from asyncio import get_running_loop, sleep
from datetime import timedelta

from db import blobs
from db.models import BlobDamage
from db.rows import BlobRow, JobRow
from domain.backends import Backends
from domain.damages import examine
from domain.jobs import NewJob, enqueue
from domain.policy import StoragePolicy

SCRUB_JOB = "storage.scrub"
SLICE = timedelta(hours=1)
"""How long a job scrubs; the next sweep asks for another."""
LEAST_BYTES = 64 << 10
"""What a blob costs however small it is: it has to be found and noted."""
MOST_DAMAGED = 20
"""When so many in a row are damaged it is not they that are: the next job looks whether the disk is there again."""
BATCH = 100

_log = logging.getLogger(__name__)


class Throttle:
    """Lets so many bytes a second pass, on average."""

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._free_at = 0.0

    async def let_pass(self, count: int) -> None:
        """Wait until what passed before has had its time."""
        now = get_running_loop().time()
        await sleep(self._free_at - now)
        self._free_at = max(now, self._free_at) + count / self._bytes_per_second


async def request_scrub(backends: Backends, policy: StoragePolicy) -> None:
    """Have blobs scrubbed if there are any to be, and nobody is at it."""
    if policy.scrub_bytes == 0 or not (await _next(backends, policy) or await _recovered(backends)):
        return
    async with backends.db.transaction() as tx:
        await enqueue(tx, NewJob(SCRUB_JOB, {}, backends.ports.clock.now(), dedup_key="all"))


async def scrub_by_job(backends: Backends, policy: StoragePolicy, _job: JobRow) -> None:
    """The job that scrubs: blobs that could be whole again, then those that are due, for as long as a job may last."""
    throttle, clock = Throttle(policy.scrub_bytes), backends.ports.clock
    end, damaged = clock.now() + SLICE, 0
    for recovered in await _recovered(backends):
        await examine(backends, recovered, throttle.let_pass)
    while clock.now() < end and (due := await _next(backends, policy)):
        await throttle.let_pass(LEAST_BYTES)
        damaged = damaged + 1 if await examine(backends, due, throttle.let_pass) else 0
        if damaged == MOST_DAMAGED:
            _log.error("scrubbing stopped: the last %d blobs were all damaged", damaged)
            return


async def _next(backends: Backends, policy: StoragePolicy) -> BlobRow | None:
    before = backends.ports.clock.now() - policy.scrub_interval
    async with backends.db.reading() as rows:
        found = await blobs.unverified(rows, backends.store.name, before, 1)
    return found[0] if found else None


async def _recovered(backends: Backends) -> list[BlobRow]:
    """Blobs that were missing or had another size, and have the right one now; only reading can tell more."""
    found: list[BlobRow] = []
    after = ""
    while True:
        async with backends.db.reading() as rows:
            batch = await blobs.damaged(rows, backends.store.name, after, BATCH)
        if not batch:
            return found
        for blob in batch:
            if blob.damage in {BlobDamage.MISSING, BlobDamage.SIZE}:
                found += [blob] if await backends.store.measure(blob.key) == blob.size else []
        after = batch[-1].key
