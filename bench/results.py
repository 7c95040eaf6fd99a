"""Figures as tables: each ratio beside its target, each peak of memory beside its limit."""

import os
import platform
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import psutil

from bench.load import MIB
from bench.race import Standing, ratio

README = Path(__file__).parent / "README.md"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line: what was done, how many at once, the service's figure, another's, and how they compare."""

    what: str
    at_once: int
    own: str
    other: str
    ratio: float
    target: float | None

    @property
    def verdict(self) -> str:
        """The target and whether it is met."""
        if self.target is None:
            return ""
        return f"≥ {self.target:g} {'✓' if self.ratio >= self.target else '✗'}"


@dataclass(frozen=True, slots=True)
class Memory:
    """One line: the largest resident memory above idle, in bytes."""

    what: str
    at_once: int
    own: int
    limit: int | None = None

    @property
    def verdict(self) -> str:
        """The limit and whether it is kept."""
        if self.limit is None:
            return ""
        return f"≤ {self.limit // MIB} MiB {'✓' if self.own <= self.limit else '✗'}"


@dataclass(frozen=True, slots=True)
class Targets:
    """How many times as fast the service is to be as each of the others (None: only shown), and its memory's limit."""

    ratios: dict[str, float | None]
    memory: int | None = None
    in_mib: bool = False


class Table(Protocol):
    """The result of a promise."""

    def table(self) -> str:
        """As Markdown."""
        ...


@dataclass(slots=True)
class Figures:
    """The result of one promise."""

    comparisons: list[Comparison] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)

    def add(self, what: str, at_once: int, standings: dict[str, Standing], targets: Targets) -> None:
        """Add a race: a line for every contender beside the service, which is named `cairn`, and one for its memory."""
        own = standings["cairn"]
        for name, target in targets.ratios.items():
            other = standings[name]
            said = f"{name}: {_speed(other, in_mib=targets.in_mib)}"
            speed, times = _speed(own, in_mib=targets.in_mib), ratio(own, other, in_mib=targets.in_mib)
            line = Comparison(what, at_once, speed, said, times, target)
            self.comparisons.append(line)
        for name, standing in standings.items():
            limit = targets.memory if name == "cairn" else None
            self.memory.append(Memory(f"{what}, {name}", at_once, standing.above_idle, limit))

    def table(self) -> str:
        """Both tables as Markdown."""
        lines = ["| What | At once | Cairn | Beside it | Ratio | Target |", "|---|---:|---:|---|---:|---|"]
        lines += [
            f"| {line.what} | {line.at_once} | {line.own} | {line.other} | {line.ratio:.2f} | {line.verdict} |"
            for line in self.comparisons
        ]
        lines += ["", "| Memory above idle at its peak | At once | Server | Limit |", "|---|---:|---:|---|"]
        lines += [
            f"| {line.what} | {line.at_once} | {line.own / MIB:.0f} MiB | {line.verdict} |" for line in self.memory
        ]
        return "\n".join(lines)


def _speed(standing: Standing, *, in_mib: bool) -> str:
    return f"{standing.mib_per_second:,.0f} MiB/s" if in_mib else f"{standing.per_second:,.0f}/s"


def write(tables: dict[str, str]) -> None:
    """Put tables into the README, each between the markers of its name."""
    text = README.read_text()
    for name, table in tables.items():
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise RuntimeError(f"README.md has no place for {name}")
    README.write_text(text)


def machine() -> str:
    """One sentence on where the figures come from."""
    memory = psutil.virtual_memory().total // 1024**3
    day = datetime.now(UTC).date().isoformat()
    return (
        f"{day}, {os.cpu_count()} processors ({_processor()}), {memory} GiB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}."
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*: (.+)", information.read_text())
        if found:
            return found[1].strip()
    return platform.machine()
