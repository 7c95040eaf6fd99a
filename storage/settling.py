"""Small blobs, whose bytes are in memory: stored, summed up and made durable, several at a time. Everything blocks."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from storage.digest import Tally
from storage.layout import Layout
from storage.leases import Leases
from storage.store import Stored

SMALL_BYTES = 64 << 10
"""What many of are worth settling together, since it is not the bytes that take long."""


class SmallBlob(NamedTuple):
    """All the bytes of one blob, and the fresh key that they are to lie under."""

    key: str
    data: bytes


class Settling:
    """Settles small blobs in one folder. What fails leaves nothing behind, or only what its lease says."""

    def __init__(self, layout: Layout, leases: Leases) -> None:
        self._layout = layout
        self._leases = leases

    def settle(self, blob: SmallBlob) -> Stored:
        """Make a blob durable and visible under its key. Raises OSError."""
        (outcome,) = self.settle_all([blob])
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    def undo(self, stored: Stored) -> None:
        """Remove a blob that was settled, and its lease. Raises OSError."""
        self._layout.remove(stored.key)
        self._leases.end(stored.key)

    def settle_all(self, blobs: Sequence[SmallBlob]) -> list[Stored | OSError]:
        """The same with many, step by step, so that a disk that can takes many syncs as one; what became of each."""
        attempts = [_Attempt(self._layout, self._leases, blob) for blob in blobs]
        for step in (_Attempt.write, _Attempt.sync, _Attempt.place, _Attempt.sync_place):
            for attempt in attempts:
                attempt.take(step)
        return [attempt.failure or attempt.tally.stored(attempt.key) for attempt in attempts]


class _Attempt:
    """One of the blobs, which takes each step unless it failed at one before."""

    def __init__(self, layout: Layout, leases: Leases, blob: SmallBlob) -> None:
        self.key = blob.key
        self.tally = Tally()
        self.failure: OSError | None = None
        self._data = blob.data
        self._layout = layout
        self._leases = leases
        self._descriptor = self._branch = -1
        self._undo: list[Callable[[str], None]] = []

    def take(self, step: "Callable[[_Attempt], None]") -> None:
        if self.failure is not None:
            return
        try:
            step(self)
        except OSError as failure:
            self.failure = failure
            # Where that fails too, the lease runs out and a sweep removes it; the first failure is the one to tell.
            with suppress(OSError):
                for undo in self._undo:
                    undo(self.key)

    def write(self) -> None:
        self._descriptor = self._layout.begin(self.key)
        self._undo = [self._close, self._leases.end]
        left = memoryview(self._data)
        while left:
            left = left[os.pwrite(self._descriptor, left, len(self._data) - len(left)) :]
        self.tally.add(self._data)

    def sync(self) -> None:
        self._layout.sync(self._descriptor)
        self._undo = [self._leases.end]
        os.close(self._descriptor)

    def place(self) -> None:
        self._undo = [self._layout.remove, self._leases.end]  # whatever goes wrong from here on, it may lie there
        try:
            self._branch = self._layout.place(self.key)
        except FileExistsError:
            self._undo = [self._leases.end]  # what lies there is another's
            raise

    def sync_place(self) -> None:
        self._layout.sync(self._branch)

    def _close(self, _: str) -> None:
        os.close(self._descriptor)
