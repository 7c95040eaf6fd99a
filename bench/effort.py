"""How much is measured: all of it, or little of it, to see that the programs work."""

from dataclasses import dataclass

KIB, MIB, GIB = 1024, 1024**2, 1024**3


@dataclass(frozen=True, slots=True)
class Effort:
    """Sizes in bytes, rounds per contender, seconds per turn of small requests, and how many subscribe."""

    large: int
    rounds: int
    seconds: float
    warm_seconds: float
    small: int = 4 * KIB
    subscriptions: int = 1000


FULL = Effort(large=GIB, rounds=5, seconds=3, warm_seconds=1)
QUICK = Effort(large=64 * MIB, rounds=1, seconds=1, warm_seconds=0.3, subscriptions=100)
