"""Remembers the downloads that end, and writes them in batches, at most about a second late.

A download never waits for this. While the database fails, what waits is kept and tried again; only when far too much
waits is the oldest given up, and the log says how much.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from uuid import UUID

from uuid_utils.compat import uuid7

from api.logs import get_logger, tell_fault
from db.engine import Database
from domain.downloads import Download, DownloadRecord, record_downloads
from domain.events import RequestFacts
from domain.ports import Clock

# Ranges of one content by one user that follow each other within this span are one download.
WINDOW = timedelta(seconds=60)
WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
CLOSING_SECONDS = 5.0
MAXIMUM_BATCH = 500
MAXIMUM_KEPT = 20_000

Write = Callable[[Sequence[DownloadRecord]], Awaitable[None]]

_log = get_logger(__name__)


class Trail:
    """One download on its way: a whole transfer, or ranges that belong together. The last ended at `ended_at`."""

    __slots__ = ("active", "download", "ended_at", "event_id", "facts", "is_whole", "may_exist", "sent")

    ended_at: datetime

    def __init__(self, download: Download, facts: RequestFacts, *, is_whole: bool) -> None:
        self.event_id: UUID | None = None
        self.download = download
        self.facts = facts
        self.is_whole = is_whole
        self.active = 1
        self.sent = 0
        self.may_exist = False

    @property
    def key(self) -> tuple[UUID, UUID]:
        """Whose download of which content this is."""
        return self.download.user_id, self.download.version_id

    @property
    def is_complete(self) -> bool:
        """Whether the whole content went out at once: ranges after it are another download."""
        return self.is_whole and self.sent >= self.download.size

    def record(self) -> DownloadRecord:
        """What history is to say by now. The id is made late, so that events are in the order they are written in."""
        self.event_id = self.event_id or uuid7()
        return DownloadRecord(self.event_id, self.download, self.facts, self.sent, self.ended_at, self.may_exist)


class DownloadRecorder:
    """Follows downloads from `begin` to `end`, and writes those that ended from a task of its own."""

    def __init__(
        self,
        write: Write,
        clock: Clock,
        *,
        wait_seconds: float = WAIT_SECONDS,
        closing_seconds: float = CLOSING_SECONDS,
        maximum_kept: int = MAXIMUM_KEPT,
    ) -> None:
        self._write = write
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._maximum_kept = maximum_kept
        self._closing_seconds = closing_seconds
        self._active: dict[tuple[UUID, UUID], Trail] = {}
        self._recent: dict[tuple[UUID, UUID], Trail] = {}  # the longest ago first
        self._waiting: dict[Trail, None] = {}  # to be written, the longest waiting first
        self._flushing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @classmethod
    def into(cls, db: Database, clock: Clock) -> "DownloadRecorder":
        """A recorder that writes events into the database."""
        return cls(partial(_write_into, db), clock)

    def begin(self, download: Download, facts: RequestFacts, *, is_range: bool) -> Trail:
        """Bytes are about to go out. A range goes on with the download that it belongs to, if there is one."""
        self._forget_recent()
        key = (download.user_id, download.version_id)
        trail = self._active.get(key) or self._recent.pop(key, None) if is_range else None
        if trail is None:
            trail = Trail(download, facts, is_whole=not is_range)
        else:
            trail.active += 1
        self._active[key] = trail
        return trail

    def end(self, trail: Trail, sent: int) -> None:
        """Nothing more follows of what `begin` announced: `sent` bytes went out."""
        trail.active -= 1
        trail.sent += sent
        trail.ended_at = self._clock.now()
        if not trail.active:
            self._settle(trail)
        self._waiting[trail] = None
        self._give_up_oldest()
        if self._flushing is None:
            # A context of its own: the lines it logs are not the request's that happened to come first.
            self._flushing = asyncio.get_running_loop().create_task(self._flush(), context=Context())

    async def close(self) -> None:
        """Write what is waiting, without patience for a database that fails."""
        self._closing.set()
        if self._flushing is not None:
            _, unfinished = await asyncio.wait({self._flushing}, timeout=self._closing_seconds)
            for task in unfinished:
                task.cancel()
                await asyncio.wait({task})
        if self._waiting:
            _log.error("downloads not recorded", lost=len(self._waiting))

    def _settle(self, trail: Trail) -> None:
        key = trail.key
        if self._active.get(key) is trail:
            del self._active[key]
        if not trail.is_complete:
            self._recent.pop(key, None)
            self._recent[key] = trail

    def _forget_recent(self) -> None:
        while self._recent:
            oldest = next(iter(self._recent.values()))
            if self._clock.now() - oldest.ended_at <= WINDOW and len(self._recent) <= self._maximum_kept:
                return
            del self._recent[oldest.key]

    def _give_up_oldest(self) -> None:
        surplus = len(self._waiting) - self._maximum_kept
        if surplus > 0:
            self._take(surplus)
            _log.error("downloads not recorded", lost=surplus)

    def _take(self, number: int) -> list[Trail]:
        taken = list(islice(self._waiting, number))
        for trail in taken:
            del self._waiting[trail]
        return taken

    async def _flush(self) -> None:
        patience = self._wait_seconds
        try:
            while self._waiting:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), patience)
                if await self._flush_batches():
                    patience = self._wait_seconds
                elif self._closing.is_set():
                    return
                else:
                    patience = min(2 * patience, LONGEST_WAIT_SECONDS)
        finally:
            self._flushing = None

    async def _flush_batches(self) -> bool:
        # All that wait by now: a pause between batches would be a bound on how many downloads a second are recorded.
        for _ in range(0, len(self._waiting), MAXIMUM_BATCH):
            if not await self._flush_batch():
                return False
        return True

    async def _flush_batch(self) -> bool:
        batch = self._take(MAXIMUM_BATCH)
        records = [trail.record() for trail in batch]
        for trail in batch:
            trail.may_exist = True  # after a failure nobody knows whether it was committed
        try:
            await self._write(records)
        except BaseException as fault:
            # Back to the front, where they were: those that waited longest are the first to be given up.
            self._waiting = dict.fromkeys(batch) | self._waiting
            if not isinstance(fault, Exception):
                raise
            tell_fault(_log, "downloads could not be written", fault, waiting=len(self._waiting))
            self._give_up_oldest()
            return False
        return True


async def _write_into(db: Database, records: Sequence[DownloadRecord]) -> None:
    async with db.transaction() as tx:
        await record_downloads(tx, records)
