"""How much is measured: all of it, or little of it, to see that the programs work."""

from dataclasses import dataclass

KIB, MIB, GIB = 1024, 1024**2, 1024**3


@dataclass(frozen=True, slots=True)
class Effort:
    """Sizes in bytes, rounds per contender, and seconds per turn of small requests."""

    large: int
    rounds: int
    seconds: float
    warm_seconds: float
    small: int = 4 * KIB


FULL = Effort(large=GIB, rounds=5, seconds=3, warm_seconds=1)
QUICK = Effort(large=64 * MIB, rounds=1, seconds=1, warm_seconds=0.3)
