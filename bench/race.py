"""Contenders taking turns: round by round, each time beginning with another, so that a busy minute hits all alike."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from statistics import median

from bench.footprint import Footprint
from bench.load import Load, Outcome, bring
from bench.servers import Server


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who is given a load, or one that is prepared for each turn.

    What `conclude` takes counts too; `tidy` runs after each turn, outside the time measured.
    """

    name: str
    server: Server
    load: Load | Callable[[], Awaitable[Load]]
    tidy: Callable[[], Awaitable[None]] | None = None
    conclude: Callable[[], Awaitable[None]] | None = None


@dataclass(slots=True)
class Standing:
    """What one contender did in all rounds. `above_idle` is its largest resident memory above idle, in bytes."""

    outcomes: list[Outcome] = field(default_factory=list)
    above_idle: int = 0

    @property
    def per_second(self) -> float:
        """The median of requests a second."""
        return median(outcome.per_second for outcome in self.outcomes)

    @property
    def mib_per_second(self) -> float:
        """The median of MiB a second."""
        return median(outcome.mib_per_second for outcome in self.outcomes)


def ratio(own: Standing, other: Standing, *, in_mib: bool = False) -> float:
    """How many times as fast, by requests or by bytes: the median over the rounds, each compared with itself."""
    pairs = zip(own.outcomes, other.outcomes, strict=True)
    if in_mib:
        return median(mine.mib_per_second / theirs.mib_per_second for mine, theirs in pairs)
    return median(mine.per_second / theirs.per_second for mine, theirs in pairs)


async def _brought(contender: Contender, load: Load) -> Outcome:
    outcome = await bring(load)
    if contender.conclude is None:
        return outcome
    begun_at = time.perf_counter()
    await contender.conclude()
    return replace(outcome, seconds=outcome.seconds + time.perf_counter() - begun_at)


async def race(title: str, contenders: list[Contender], rounds: int) -> dict[str, Standing]:
    """Give each contender its load once a round."""
    standings = {contender.name: Standing() for contender in contenders}
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            load = contender.load if isinstance(contender.load, Load) else await contender.load()
            with Footprint(contender.server.pid) as taken:
                outcome = await _brought(contender, load)
            standing = standings[contender.name]
            standing.outcomes.append(outcome)
            standing.above_idle = max(standing.above_idle, taken.peak - contender.server.idle_bytes)
            print(
                f"{title}, {contender.name}: {outcome.per_second:,.2f}/s, {outcome.mib_per_second:,.0f} MiB/s, "
                f"median {outcome.median_ms} ms, p99 {outcome.slowest_ms} ms; of a processor the server took "
                f"{taken.seconds / outcome.all_requests * 1000:.2f} ms per request, the client {outcome.cpu:.0%}",
                flush=True,
            )
            if contender.tidy:
                await contender.tidy()
    return standings
