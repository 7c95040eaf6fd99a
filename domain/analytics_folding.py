"""Folding: deltas become rollups, a batch at a time.

A batch is taken away and added in one transaction: cut off anywhere it is as if it had not begun, and of several
processes each takes what the others do not. What commits late is folded late; nothing is passed over.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from operator import add
from uuid import UUID

from db import analytics_deltas, analytics_rollups
from db.analytics_deltas import DeltaRow
from db.analytics_rollups import Key, Sums
from db.engine import Database
from db.models import NEVER, WHOLE_SERVICE

BATCH = 1000
"""How many deltas are folded in a transaction: on SQLite all who write wait for it."""


async def fold(db: Database, batch: int = BATCH) -> None:
    """Fold all deltas that wait. Safe beside other processes."""
    async with db.reading() as rows:
        if not await analytics_deltas.is_any(rows):
            return
    while await _fold_some(db, batch) == batch:
        pass


async def _fold_some(db: Database, batch: int) -> int:
    async with db.transaction() as tx:
        taken = await analytics_deltas.take(tx, batch)
        await analytics_rollups.add_sums(tx, _sums(_joined(taken)))
    return len(taken)


def _joined(deltas: Sequence[DeltaRow]) -> list[DeltaRow]:
    """One delta for all that are about the same, as most are: to add each by itself to every sum would cost more.

    What a user did is only ever added: who is active in one of them is so in all together.
    """
    sums = _added((delta.subject, delta.numbers) for delta in deltas)
    return [DeltaRow(*subject, *numbers) for subject, numbers in sums.items()]


def _sums(deltas: Sequence[DeltaRow]) -> Sums:
    typed = [
        (scope_id, delta) for scope_id, delta in _scoped(deltas) if delta.media_type is not None and any(_held(delta))
    ]
    owned = [(scope_id, delta) for scope_id, delta in _scoped(deltas) if delta.user_id is not None]
    return Sums(
        totals=_added(((scope_id, delta.day), _all(delta)) for scope_id, delta in _scoped(deltas)),
        media_types=_added(((scope_id, delta.day, delta.media_type), _held(delta)) for scope_id, delta in typed),
        users=_added(
            ((scope_id, delta.user_id, delta.day), _of_user(delta)) for scope_id, delta in owned if any(_of_user(delta))
        ),
        held_media_types=_added(((scope_id, delta.media_type), _held(delta)) for scope_id, delta in typed),
        held_users=_added(((scope_id, delta.user_id), _held(delta)) for scope_id, delta in owned),
        active_on=_latest(((scope_id, delta.user_id), _active_on(delta)) for scope_id, delta in owned),
    )


def _scoped(deltas: Sequence[DeltaRow]) -> Iterator[tuple[UUID, DeltaRow]]:
    """Each delta with the whole service, and with the workspace that it is about."""
    for delta in deltas:
        yield WHOLE_SERVICE, delta
        if delta.workspace_id is not None:
            yield delta.workspace_id, delta


def _all(delta: DeltaRow) -> tuple[int, ...]:
    return (*_of_user(delta), delta.logins, delta.users)


def _of_user(delta: DeltaRow) -> tuple[int, ...]:
    return (*_held(delta), delta.uploads, delta.uploaded, delta.downloads, delta.downloaded)


def _held(delta: DeltaRow) -> tuple[int, ...]:
    return delta.files, delta.bytes


def _active_on(delta: DeltaRow) -> date:
    acts = delta.uploads, delta.downloads, delta.logins, delta.users
    return delta.day if any(number > 0 for number in acts) else NEVER


def _added(pairs: Iterable[tuple[Key, tuple[int, ...]]]) -> dict[Key, tuple[int, ...]]:
    sums: dict[Key, tuple[int, ...]] = {}
    for key, numbers in pairs:
        sums[key] = tuple(map(add, sums[key], numbers)) if key in sums else numbers
    return sums


def _latest(pairs: Iterable[tuple[Key, date]]) -> dict[Key, date]:
    days: dict[Key, date] = {}
    for key, day in pairs:
        days[key] = max(days.get(key, NEVER), day)
    return days
