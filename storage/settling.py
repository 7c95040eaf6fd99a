"""Small blobs, whose bytes are in memory: stored, summed up and made durable, several at a time. Everything blocks."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeAlias

from storage.digest import Tally
from storage.layout import Layout
from storage.leases import Leases
from storage.store import Stored

SMALL_BYTES = 64 << 10
"""Blobs up to this size are small: what takes long of them is not their bytes, so that many go together."""


class SmallBlob(NamedTuple):
    """All the bytes of one blob, and the fresh key that they are to lie under."""

    key: str
    data: bytes


Each: TypeAlias = Callable[[Callable[["_Attempt"], None], Sequence["_Attempt"]], Iterable[None]]
"""Does something with each of several: `map`, or that of an executor, which does so with many at once."""


class Settling:
    """Settles small blobs in one folder. What fails leaves nothing behind, or only what its lease says.

    `sync_each` says how several are synced.
    """

    def __init__(self, layout: Layout, leases: Leases, sync_each: Each = map) -> None:
        self._layout = layout
        self._leases = leases
        self._sync_each = sync_each

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
        """The same with many, step by step; what became of each."""
        attempts = [_Attempt(self._layout, self._leases, blob) for blob in blobs]
        sync_each = self._sync_each if len(blobs) > 1 else map
        for each, step in (
            (map, _Attempt.write),
            (sync_each, _Attempt.sync),
            (map, _Attempt.place),
            (sync_each, _Attempt.sync_place),
        ):
            list(each(partial(_take, step), attempts))
        return [attempt.failure or attempt.tally.stored(attempt.key) for attempt in attempts]


class _Attempt:
    """One of the blobs, on its way from step to step. `undo` is what removes all that there is of it by now."""

    def __init__(self, layout: Layout, leases: Leases, blob: SmallBlob) -> None:
        self.key = blob.key
        self.tally = Tally()
        self.failure: OSError | None = None
        self.undo: Sequence[Callable[[], None]] = ()
        self._data = blob.data
        self._layout = layout
        self._end = partial(leases.end, blob.key)
        self._descriptor = self._branch = -1

    def write(self) -> None:
        self._descriptor = self._layout.begin(self.key)
        self.undo = partial(os.close, self._descriptor), self._end
        left = memoryview(self._data)
        while left:
            left = left[os.pwrite(self._descriptor, left, len(self._data) - len(left)) :]
        self.tally.add(self._data)

    def sync(self) -> None:
        self._layout.sync(self._descriptor)
        self.undo = (self._end,)
        os.close(self._descriptor)

    def place(self) -> None:
        self.undo = partial(self._layout.remove, self.key), self._end  # whatever goes wrong, it may lie there
        try:
            self._branch = self._layout.place(self.key)
        except FileExistsError:
            self.undo = (self._end,)  # what lies there is another's
            raise

    def sync_place(self) -> None:
        self._layout.sync(self._branch)


def _take(step: Callable[[_Attempt], None], attempt: _Attempt) -> None:
    """Take a step, unless one before has failed."""
    if attempt.failure is not None:
        return
    try:
        step(attempt)
    except OSError as failure:
        attempt.failure = failure
        # Where that fails too, the lease runs out and a sweep removes it; the first failure is the one to tell.
        with suppress(OSError):
            for undo in attempt.undo:
                undo()
