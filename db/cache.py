"""Answers that are asked for often, kept for a short life: in Redis for all processes, in this one without Redis.

Rights are part of every question, so that whoever may see something else asks something else, also from one moment to
the next. When many ask at once, one computes, and where Redis tells of it, one of all processes.
"""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple, TypeAlias

import orjson

from db.redis import RedisLink

PREFIX = "cairn:answer:"
BUSY = ":busy"
MAXIMUM_CHARACTERS = 4 * 1024**2
"""What this process keeps at most; what was not asked for the longest goes first."""
PATIENCE_SECONDS = 2.0
"""How long a process is believed to be computing, and waited for; then another computes as well."""
POLL_SECONDS = 0.02

Compute: TypeAlias = Callable[[], Awaitable[Any]]
Read: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and by which right: equal ones have one answer, whoever asks, in whatever order they say it.

    `name` is a word of the code. `rights` are all facts about the asker that decide what may be seen, such as the
    workspaces it is a member of; `parameters` is the rest, as JSON has it.
    """

    name: str
    rights: frozenset[str]
    parameters: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The key under which the answer is kept: it tells nothing of the question."""
        told = json.dumps([self.name, sorted(self.rights), self.parameters], sort_keys=True, separators=(",", ":"))
        return PREFIX + sha256(told.encode()).hexdigest()


class Answer(NamedTuple):
    """A computed value, as it was read from JSON, and when computing it began."""

    value: Any
    as_of: datetime


class Outcome(StrEnum):
    """How an answer was had: it was kept, was computed, or was being computed for somebody else."""

    HIT = "hit"
    MISS = "miss"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: str
    life_seconds: float
    compute: Compute
    read: Read


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 - as JSON has it
    return value


def _unobserved(_name: str, _outcome: Outcome) -> None:
    """Nobody counts."""


class Cache:
    """One per process. Never raises for want of Redis, and waits for it no longer than the link does."""

    def __init__(
        self,
        redis: RedisLink | None,
        *,
        clock: Callable[[], float] = time.time,
        observe: Callable[[str, Outcome], None] = _unobserved,
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._observe = observe
        self._here = _Kept()
        self._asked: dict[str, asyncio.Task[tuple[str, bool]]] = {}

    async def answer(self, question: Question, life_seconds: float, compute: Compute, read: Read = _as_it_is) -> Answer:
        """The answer, computed now or at most `life_seconds` ago. Raises what `compute` raises, which is not kept.

        `read` makes the value of what JSON gives back. It raises ValueError or TypeError for what `compute` never gave,
        which others may have put into Redis: then it is computed.
        """
        key = question.key
        task = self._asked.get(key)
        is_first = task is None
        if task is None:
            # A context and a task of its own: whoever asked first may leave, and takes nothing from the others.
            finding = self._found(_Wanted(key, life_seconds, compute, read))
            task = self._asked[key] = asyncio.get_running_loop().create_task(finding, context=Context())
            task.add_done_callback(partial(self._forget, key))
        text, is_hit = await asyncio.shield(task)
        self._observe(question.name, Outcome.HIT if is_hit else Outcome.MISS if is_first else Outcome.SHARED)
        as_of, value = orjson.loads(text)
        return Answer(read(value), datetime.fromtimestamp(as_of, UTC))

    async def close(self) -> None:
        """Give up what is being computed; nothing is to be asked any more."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self, key: str, task: asyncio.Task[tuple[str, bool]]) -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # looked at, since perhaps nobody waits any more

    async def _found(self, wanted: _Wanted) -> tuple[str, bool]:
        # As old here as it is in Redis, from where a large answer takes longer to come than to be read.
        kept = self._here.get(wanted.key, self._clock(), wanted.life_seconds)
        if kept is not None:
            return kept, True
        if self._redis is not None and self._redis.is_up:
            return await self._found_by_all(self._redis, wanted)
        return await self._compute_here(wanted), False

    async def _found_by_all(self, redis: RedisLink, wanted: _Wanted) -> tuple[str, bool]:
        kept = await self._kept_or_ours(redis, wanted)
        if kept is not None:
            return kept, True
        try:
            text = await self._compute_here(wanted)
        except BaseException:
            await redis.give_back(wanted.key + BUSY)
            raise
        await redis.keep(wanted.key, text, wanted.life_seconds)
        await redis.give_back(wanted.key + BUSY)
        return text, False

    async def _kept_or_ours(self, redis: RedisLink, wanted: _Wanted) -> str | None:
        """What is kept; None where this process is to compute it, as it is when Redis does not say."""
        end = time.monotonic() + PATIENCE_SECONDS
        is_ours = False
        while True:
            kept = self._readable(wanted, await redis.kept(wanted.key))
            if is_ours and kept is not None:
                await redis.give_back(wanted.key + BUSY)
            if is_ours or kept is not None or time.monotonic() >= end:
                return kept
            # Once it is ours, it is looked for again: whoever had it may have been done in between.
            is_ours = await redis.claim(wanted.key + BUSY, PATIENCE_SECONDS)
            if not is_ours:
                await asyncio.sleep(POLL_SECONDS)

    def _readable(self, wanted: _Wanted, kept: bytes | None) -> str | None:
        """What Redis keeps, if it is an answer: others may write there, too. It is kept here from now on."""
        try:
            text = (kept or b"").decode()
            as_of, value = orjson.loads(text)
            datetime.fromtimestamp(as_of, UTC)
            wanted.read(value)
        except (ValueError, TypeError, OverflowError, OSError):
            return None
        self._here.keep(wanted.key, as_of, text)
        return text

    async def _compute_here(self, wanted: _Wanted) -> str:
        as_of = self._clock()
        text = json.dumps([as_of, await wanted.compute()], separators=(",", ":"))
        self._here.keep(wanted.key, as_of, text)
        return text


class _Kept:
    """The answers that one process keeps."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._characters = 0

    def get(self, key: str, now: float, life_seconds: float) -> str | None:
        as_of, text = self._answers.get(key, (0.0, ""))
        # A clock that was set back makes nothing younger than it is.
        if not text or not 0 <= now - as_of < life_seconds:
            return None
        self._answers.move_to_end(key)
        return text

    def keep(self, key: str, as_of: float, text: str) -> None:
        _, before = self._answers.pop(key, (0.0, ""))
        self._answers[key] = as_of, text
        self._characters += len(text) - len(before)
        while self._characters > MAXIMUM_CHARACTERS:
            _, (_, oldest) = self._answers.popitem(last=False)
            self._characters -= len(oldest)
