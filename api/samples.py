"""What `/metrics` tells that nobody counts as it happens: looked at when somebody asks, and kept for some seconds."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from api.logs import get_logger
from api.streams import Streams
from db.cache import Answer, Cache, Compute, Question
from db.engine import Database, Pool
from db.redis import RedisLink
from domain.figures import Figures, figures_of
from domain.ports import Clock
from storage.disk import DiskStore
from storage.room import Disk

LIFE_SECONDS: Final = 5.0
DEADLINE_SECONDS: Final = 2.0
"""Prometheus waits for ten: what a broken part would say is left out long before, and the rest is told."""

FIGURES: Final = Question("metrics.figures", frozenset({"operator"}), {})
DISK: Final = Question("metrics.disk", frozenset({"operator"}), {})
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """Numbers of one moment. None: not known, or there is none. `as_of`, in seconds since 1970, is the figures' age."""

    pools: dict[str, Pool]
    streams: int = 0
    is_redis_up: bool | None = None
    disk: Disk | None = None
    figures: Figures | None = None
    as_of: float | None = None


@dataclass(frozen=True, slots=True)
class Samples:
    """Takes samples. Figures are computed once for all processes that share a Redis; a disk is each process's own."""

    db: Database
    store: DiskStore
    redis: RedisLink | None
    cache: Cache
    streams: Streams
    clock: Clock
    _own: Cache = field(default_factory=lambda: Cache(None))

    async def take(self) -> Sample:
        """The numbers, at most some seconds old. Waits for no part longer than its deadline, and never raises."""
        found = await asyncio.gather(
            _attempted(self._own, DISK, self.store.disk), _attempted(self.cache, FIGURES, self._count)
        )
        disk, figures = found
        return Sample(
            pools=self.db.pools(),
            streams=self.streams.count,
            is_redis_up=self.redis.is_up if self.redis else None,
            disk=Disk(*disk.value) if disk else None,
            figures=Figures(*figures.value) if figures else None,
            as_of=figures.as_of.timestamp() if figures else None,
        )

    async def _count(self) -> Figures:
        async with self.db.reading() as rows:
            return await figures_of(rows, self.clock.now())


async def _attempted(cache: Cache, question: Question, compute: Compute) -> Answer | None:
    # The cache goes on with what takes too long, and gives it to whoever asks next: nothing piles up.
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await cache.answer(question, LIFE_SECONDS, compute)
    except Exception as fault:  # noqa: BLE001 - whatever is wrong with it, the rest is told
        _log.debug("not sampled", question=question.name, reason=type(fault).__name__, exc_info=True)
        return None
