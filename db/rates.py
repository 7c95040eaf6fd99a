"""Counting against rates: in Redis for all processes when there is one, in this process while there is none.

Each charge is one step of a small state per key, in Redis as one script, so that processes never read what another is
about to write. What is limited, and what is said about it, is for `domain.rates`.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from math import floor
from typing import NamedTuple

from db.batches import Batches
from db.redis import RedisLink

PREFIX = "cairn:rate:"
MAXIMUM_KEPT = 50_000
"""Keys of each kind counted in this process at most; those not asked for the longest go first."""
DOUBLINGS = 10
"""How often a growing delay doubles until it is as long as the span of its rate."""
ROUNDING_SECONDS = 1e-3
"""What a thousand sums of times since 1970 may be wrong by."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So much in so many seconds: `amount` at once after a pause, and refilled evenly, as GCRA does."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Charge:
    """`weight` taken from what a key has left of a rate. More than the whole amount waits until it is whole.

    A growing charge weighs 1 and is about guessing: `rate.amount` are free, each one after them has to wait twice as
    long as the one before, up to the span; all is forgotten when nobody tried for a span after the last wait.
    """

    key: str
    rate: Rate
    weight: int = 1
    is_growing: bool = False


class Standing(NamedTuple):
    """How a key stands after a charge. A wait over 0 means that the charge, and all with it, was not taken."""

    wait_seconds: float
    remaining: int
    reset_seconds: float


class _Held(NamedTuple):
    """`level` counts the growing charges; `until` is when an even rate is whole again, or a growing one open again."""

    level: int
    until: float
    ends: float


_ABSENT = _Held(0, 0.0, 0.0)

# What `_LocalCounts` does, on Redis's clock, because machines differ in theirs. Times are answered in microseconds.
_NOW = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
"""
# Charges that belong together follow each other; the first of them says how many they are.
_TAKE = f"""{_NOW}
local answers, first = {{}}, 1
while first <= #KEYS do
  local last, charges, is_refused = first + ARGV[5 * first] - 1, {{}}, false
  for i = first, last do
    local held = redis.call('HMGET', KEYS[i], 'level', 'until', 'ends')
    local c = {{level = tonumber(held[1] or 0), till = tonumber(held[2] or 0), ends = tonumber(held[3] or 0)}}
    if c.ends <= now then c.level, c.till, c.ends = 0, 0, 0 end
    local amount, span, weight = tonumber(ARGV[5 * i - 4]), tonumber(ARGV[5 * i - 3]), tonumber(ARGV[5 * i - 2])
    if ARGV[5 * i - 1] == '1' then
      local over = math.min(c.level + 1 - amount, {DOUBLINGS})
      c.wait = c.till - now
      c.new_level = c.level + 1
      c.new_till = now + (over < 0 and 0 or span / 2 ^ ({DOUBLINGS} - over))
      c.new_ends = c.new_till + span
    else
      local base = math.max(c.till, now)
      c.wait = base - now + math.min(weight, amount) * span / amount - span
      c.new_level = 0
      c.new_till = base + weight * span / amount
      c.new_ends = c.new_till
    end
    if c.wait < {ROUNDING_SECONDS} then c.wait = 0 else is_refused = true end
    charges[i] = c
  end
  for i = first, last do
    local c, amount, span = charges[i], tonumber(ARGV[5 * i - 4]), tonumber(ARGV[5 * i - 3])
    if not is_refused then
      c.level, c.till, c.ends = c.new_level, c.new_till, c.new_ends
      redis.call('HSET', KEYS[i], 'level', c.level, 'until', c.till, 'ends', c.ends)
      redis.call('PEXPIRE', KEYS[i], math.ceil((c.ends - now) * 1000))
    end
    local used = ARGV[5 * i - 1] == '1' and c.level or math.max(0, c.till - now) * amount / span
    answers[3 * i - 2] = math.ceil(c.wait * 1000000)
    answers[3 * i - 1] = math.max(0, math.floor(amount - used + 0.001))
    answers[3 * i] = math.floor(math.max(0, c.ends - now) * 1000000)
  end
  first = last + 1
end
return answers
"""
_GIVE_BACK = f"""{_NOW}
for i, key in ipairs(KEYS) do
  local held = redis.call('HMGET', key, 'level', 'until', 'ends')
  if held[1] and tonumber(held[3]) > now then
    if ARGV[5 * i - 1] == '1' then
      redis.call('HSET', key, 'level', math.max(0, held[1] - 1), 'until', now)
    else
      local till = held[2] - ARGV[5 * i - 2] * ARGV[5 * i - 3] / ARGV[5 * i - 4]
      redis.call('HSET', key, 'until', till, 'ends', till)
    end
  end
end
return {{}}
"""


@dataclass(frozen=True, slots=True, eq=False)
class _Together:
    """Charges of one call: taken together, and told apart from equal ones of another call."""

    charges: Sequence[Charge]


class RateCounter:
    """One per process. Never raises for want of Redis, and waits for it no longer than the link does.

    Calls that come while Redis is asked wait for one another, and are asked together.
    """

    def __init__(self, redis: RedisLink | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis
        self._local = _LocalCounts(clock)
        self._asked = Batches(self._take_all)

    async def take(self, charges: Sequence[Charge]) -> list[Standing]:
        """Take all of the charges, on different keys, or none of them; how each stands, in order."""
        if self._redis is None or not self._redis.is_up:
            return self._local.take(charges)
        return await self._asked.ask(_Together(charges)) or self._local.take(charges)

    async def give_back(self, charges: Sequence[Charge]) -> None:
        """Undo charges that were taken: what was not used after all, and attempts that were no guesses."""
        if await self._ask(_GIVE_BACK, [_Together(charges)]) is None:
            self._local.give_back(charges)

    async def _take_all(self, asked: Collection[_Together]) -> dict[_Together, list[Standing]]:
        answer = await self._ask(_TAKE, asked)
        if answer is None:
            return {}
        triples = zip(answer[::3], answer[1::3], answer[2::3], strict=True)
        standings = (Standing(wait / 1e6, remaining, reset / 1e6) for wait, remaining, reset in triples)
        return {each: list(islice(standings, len(each.charges))) for each in asked}

    async def _ask(self, script: str, asked: Collection[_Together]) -> list[int] | None:
        if self._redis is None:
            return None
        keys: list[str] = []
        numbers: list[int] = []
        for each in asked:
            for charge in each.charges:
                rate, count = charge.rate, len(each.charges)
                keys.append(PREFIX + charge.key)
                numbers += rate.amount, rate.seconds, charge.weight, int(charge.is_growing), count
        return await self._redis.run(script, keys, numbers)


class _LocalCounts:
    """The counts of one process. Nothing awaits in between, so that each call is one step."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Apart, so that many requests from many addresses do not make guesses be forgotten.
        self._kept: dict[bool, OrderedDict[str, _Held]] = {False: OrderedDict(), True: OrderedDict()}

    def take(self, charges: Sequence[Charge]) -> list[Standing]:
        now = self._clock()
        held = [self._of(charge, now) for charge in charges]
        waits = [_wait(*pair, now) for pair in zip(charges, held, strict=True)]
        if not any(waits):
            held = [_after(*pair, now) for pair in zip(charges, held, strict=True)]
            for charge, after in zip(charges, held, strict=True):
                self._keep(charge, after)
        return [_standing(*three, now) for three in zip(charges, held, waits, strict=True)]

    def give_back(self, charges: Sequence[Charge]) -> None:
        now = self._clock()
        for charge in charges:
            held = self._of(charge, now)
            if held is _ABSENT:
                continue
            if charge.is_growing:
                self._keep(charge, held._replace(level=max(0, held.level - 1), until=now))
            else:
                until = held.until - charge.weight * charge.rate.seconds / charge.rate.amount
                self._keep(charge, held._replace(until=until, ends=until))

    def _of(self, charge: Charge, now: float) -> _Held:
        kept = self._kept[charge.is_growing]
        held = kept.get(charge.key, _ABSENT)
        if held.ends <= now:
            return _ABSENT
        kept.move_to_end(charge.key)
        return held

    def _keep(self, charge: Charge, held: _Held) -> None:
        kept = self._kept[charge.is_growing]
        kept[charge.key] = held
        kept.move_to_end(charge.key)
        if len(kept) > MAXIMUM_KEPT:
            kept.popitem(last=False)


def _wait(charge: Charge, held: _Held, now: float) -> float:
    if charge.is_growing:
        wait = held.until - now
    else:
        rate = charge.rate
        asked = min(charge.weight, rate.amount) * rate.seconds / rate.amount
        wait = max(held.until, now) - now + asked - rate.seconds
    return wait if wait >= ROUNDING_SECONDS else 0.0


def _after(charge: Charge, held: _Held, now: float) -> _Held:
    rate = charge.rate
    if not charge.is_growing:
        until = max(held.until, now) + charge.weight * rate.seconds / rate.amount
        return _Held(0, until, until)
    over = min(held.level + 1 - rate.amount, DOUBLINGS)
    until = now + (0 if over < 0 else rate.seconds / 2 ** (DOUBLINGS - over))
    return _Held(held.level + 1, until, until + rate.seconds)


def _standing(charge: Charge, held: _Held, wait: float, now: float) -> Standing:
    rate = charge.rate
    used = held.level if charge.is_growing else max(0.0, held.until - now) * rate.amount / rate.seconds
    return Standing(wait, max(0, floor(rate.amount - used + 0.001)), max(0.0, held.ends - now))
