"""Writes on rollups: what was taken as deltas is added to what is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import case
from sqlmodel import SQLModel, col

from db.engine import Transaction
from db.models import NEVER, WHOLE_SERVICE, DailyMediaType, DailyTotal, DailyUser, HeldMediaType, HeldUser

Key: TypeAlias = tuple[Any, ...]
Numbers: TypeAlias = Mapping[Key, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Sums:
    """What is to be added, by what the rows of each rollup are told apart by, and who was active last when.

    The numbers are in the order of the columns: see `db.models.analytics`.
    """

    totals: Numbers
    media_types: Numbers
    users: Numbers
    held_media_types: Numbers
    held_users: Numbers
    active_on: Mapping[Key, date]


async def add_sums(tx: Transaction, sums: Sums) -> None:
    """Add sums to the rollups, each in one statement.

    Always in this order, and within each by key, so that two who fold never wait for each other in a circle.
    """
    for table, keys, numbers in (
        (DailyTotal, ("scope_id", "day"), sums.totals),
        (DailyMediaType, ("scope_id", "day", "media_type"), sums.media_types),
        (DailyUser, ("scope_id", "user_id", "day"), sums.users),
        (HeldMediaType, ("scope_id", "media_type"), sums.held_media_types),
    ):
        await _merge(tx, table, keys, [(*key, *numbers[key]) for key in sorted(numbers)])
    held = [(*key, *sums.held_users[key], sums.active_on[key]) for key in sorted(sums.held_users)]
    await _merge(tx, HeldUser, ("scope_id", "user_id"), held)


async def begin_user(tx: Transaction, user_id: UUID) -> None:
    """Have a new user be among those of the whole service, of whom nothing is known yet."""
    values = {"scope_id": WHOLE_SERVICE, "user_id": user_id, "files": 0, "bytes": 0, "active_on": NEVER}
    await tx.insert(HeldUser, [values])


async def _merge(tx: Transaction, table: type[SQLModel], keys: Sequence[str], rows: Sequence[Key]) -> None:
    if not rows:
        return
    columns = list(table.model_fields)
    insert = tx.inserting(table)
    merged: dict[str, Any] = {
        name: getattr(table, name) + insert.excluded[name] for name in columns if name not in {*keys, "active_on"}
    }
    if table is HeldUser:
        later, known = insert.excluded.active_on, col(HeldUser.active_on)
        merged["active_on"] = case((later > known, later), else_=known)
    statement = insert.on_conflict_do_update(index_elements=keys, set_=merged)
    await tx.execute_each(statement, [dict(zip(columns, row, strict=True)) for row in rows])
