"""Keyset pages: a window of a sorted select that stays right while rows come and go."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import tuple_
from sqlalchemy.orm import Mapped

from db.engine import Rows, Selection
from db.questions import Page, Window


@dataclass(frozen=True, slots=True)
class Order:
    """What a select is sorted by; `id` follows in the same direction and tells equals apart."""

    column: Mapped[Any]
    id: Mapped[UUID]
    is_descending: bool


async def page_of(rows: Rows, statement: Selection, order: Order, window: Window) -> Page[Any]:
    """Run a select through a window: one statement, one row more than asked to see whether there are more."""
    keys = tuple_(order.column, order.id)
    for position, is_lower_bound in ((window.after, True), (window.before, False)):
        if position is not None:
            bound = (position.value, position.id)
            statement = statement.where(keys > bound if is_lower_bound != order.is_descending else keys < bound)
    is_descending = order.is_descending != window.is_backward
    sort = [key.desc() if is_descending else key.asc() for key in (order.column, order.id)]
    found = await rows.all(statement.order_by(*sort).limit(window.limit + 1))
    items, has_more = found[: window.limit], len(found) > window.limit
    if window.is_backward:
        return Page(items[::-1], has_next=window.before is not None, has_previous=has_more)
    return Page(items, has_next=has_more, has_previous=window.after is not None)
