"""What is to go wrong in a service of another process, and what it did until then: a file that both have in memory.

It survives `kill -9`: what the service noted last is what it did last.
"""

import struct
from collections.abc import Collection
from enum import IntEnum
from mmap import mmap
from pathlib import Path
from typing import Final, NamedTuple

KINDS: Final = (
    "create",
    "write",
    "truncate",
    "copy",
    "read",
    "sync",
    "sync folder",
    "make folder",
    "rename",
    "link",
    "remove",
    "commit",
)
"""The steps that are counted. A commit is one that changes something: polls do not."""

TAKES_ROOM: Final = {"create", "write", "copy", "make folder", "link", "commit"}

_HEAD = struct.Struct("<6q")
_BYTES = 8192


class Fault(IntEnum):
    """What happens at a step."""

    NONE = 0
    BROKEN = 1
    """The step fails with EIO, once. Where it is a commit, its connection breaks before it."""
    FULL = 2
    """The disk is full from the step on, which is a write that takes half, or fails: nothing takes room any more."""
    UNANSWERED = 3
    """The connection breaks after a commit was done: nobody knows. Other steps fail as in BROKEN."""
    KILLED = 4
    """SIGKILL instead of the step."""
    KILLED_AFTER = 5
    """SIGKILL once the step is done."""
    STILL_FULL = 6
    """What FULL is to later steps."""


class Plan:
    """The file. One process arms it, the other one notes its steps in it; both see it at once."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_BYTES))
        with path.open("r+b") as file:
            self._memory = mmap(file.fileno(), _BYTES)

    def arm(self, fault: Fault, number: int, kinds: Collection[str] = KINDS) -> None:
        """Have this go wrong at the step of this number among those of some kinds, counted from 1 and from now."""
        self._memory[_HEAD.size :] = bytes(_BYTES - _HEAD.size)
        self._write(_State(fault, number, sum(1 << KINDS.index(kind) for kind in kinds), 0, 0, 0))

    def disarm(self) -> list[str]:
        """Have nothing go wrong any more, or count; the steps that were begun since it was armed, the last one last."""
        count = self._read().steps
        self._write(_State(Fault.NONE, 0, 0, 0, 0, 0))
        return [KINDS[code] for code in self._memory[_HEAD.size : _HEAD.size + count]]

    @property
    def struck_at(self) -> int:
        """The step of all that it went wrong at, counted from 1; 0 if it did not."""
        return self._read().struck_at

    def count(self, kind: str) -> Fault:
        """Note a step; what is to happen to it. For one thread at a time."""
        now = self._read()
        if now.number == 0:
            return Fault.NONE
        if now.steps < _BYTES - _HEAD.size:
            self._memory[_HEAD.size + now.steps] = KINDS.index(kind)
        matching = now.matching + (now.kinds >> KINDS.index(kind) & 1)
        now = now._replace(steps=now.steps + 1, matching=matching)
        fault = Fault.NONE
        if not now.struck_at and matching == now.number:
            fault, now = Fault(now.fault), now._replace(struck_at=now.steps)
        elif now.struck_at and now.fault == Fault.FULL and kind in TAKES_ROOM:
            fault = Fault.STILL_FULL
        self._write(now)
        return fault

    def _read(self) -> "_State":
        return _State._make(_HEAD.unpack_from(self._memory))

    def _write(self, state: "_State") -> None:
        _HEAD.pack_into(self._memory, 0, *state)


class _State(NamedTuple):
    fault: int
    number: int
    kinds: int
    steps: int
    matching: int
    struck_at: int
