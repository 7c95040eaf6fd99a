"""Writes on rollups: what was taken as deltas is added to what is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from operator import add
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import case
from sqlmodel import SQLModel, col

from db.engine import Transaction
from db.models import (
    NEVER,
    WHOLE_SERVICE,
    DailyMediaType,
    DailyTotal,
    DailyUser,
    HeldMediaType,
    HeldUser,
    MonthlyMediaType,
    MonthlyTotal,
    MonthlyUser,
)

Key: TypeAlias = tuple[Any, ...]
Numbers: TypeAlias = Mapping[Key, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Sums:
    """What is to be added, by what the rows of each rollup are told apart by, and who was active last when.

    What a day gets its month gets as well. The numbers are in the order of the columns: see `db.models.analytics`.
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
    for table, monthly, keys, numbers in (
        (DailyTotal, MonthlyTotal, ("scope_id", "day"), sums.totals),
        (DailyMediaType, MonthlyMediaType, ("scope_id", "day", "media_type"), sums.media_types),
        (DailyUser, MonthlyUser, ("scope_id", "user_id", "day"), sums.users),
    ):
        await _merge(tx, table, keys, numbers)
        months = ["month" if key == "day" else key for key in keys]
        await _merge(tx, monthly, months, _by_month(numbers, keys.index("day")))
    await _merge(tx, HeldMediaType, ("scope_id", "media_type"), sums.held_media_types)
    held = {key: (*numbers, sums.active_on[key]) for key, numbers in sums.held_users.items()}
    await _merge(tx, HeldUser, ("scope_id", "user_id"), held)


async def begin_user(tx: Transaction, user_id: UUID) -> None:
    """Have a new user be among those of the whole service, of whom nothing is known yet."""
    values = {"scope_id": WHOLE_SERVICE, "user_id": user_id, "files": 0, "bytes": 0, "active_on": NEVER}
    await tx.insert(HeldUser, [values])


def _by_month(numbers: Numbers, place: int) -> Numbers:
    """The same sums, by the first days of months in that place of the key."""
    months: dict[Key, tuple[int, ...]] = {}
    for key, added in numbers.items():
        month = (*key[:place], key[place].replace(day=1), *key[place + 1 :])
        months[month] = tuple(map(add, months[month], added)) if month in months else added
    return months


async def _merge(tx: Transaction, table: type[SQLModel], keys: Sequence[str], sums: Mapping[Key, Key]) -> None:
    if not sums:
        return
    numbers = [name for name in table.model_fields if name not in keys]
    insert = tx.inserting(table)
    merged: dict[str, Any] = {
        name: getattr(table, name) + insert.excluded[name] for name in numbers if name != "active_on"
    }
    if table is HeldUser:
        later, known = insert.excluded.active_on, col(HeldUser.active_on)
        merged["active_on"] = case((later > known, later), else_=known)
    statement = insert.on_conflict_do_update(index_elements=keys, set_=merged)
    await tx.execute_each(
        statement, [dict(zip([*keys, *numbers], (*key, *sums[key]), strict=True)) for key in sorted(sums)]
    )
