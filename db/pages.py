"""Keyset pages: a window of a sorted select that stays right while rows come and go."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    SelectBase,
    Subquery,
    TableValuedAlias,
    func,
    literal,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import Mapped

from db.engine import Rows, Selection
from db.questions import Page, Window


@dataclass(frozen=True, slots=True)
class Order:
    """What a select is sorted by; `id` follows in the same direction and tells equals apart."""

    column: Mapped[Any] | ColumnElement[Any]
    id: Mapped[UUID] | ColumnElement[UUID]
    is_descending: bool


class Owners(NamedTuple):
    """Whose rows are wanted, and the column that says whose each is."""

    column: Mapped[Any]
    ids: Sequence[UUID]


async def page_of(rows: Rows, statement: Selection, order: Order, window: Window) -> Page[Any]:
    """Run a select through a window: one statement, one row more than asked to see whether there are more."""
    statement = _bounded(statement, order, window)
    return _page(await rows.all(statement.order_by(*_sort(order, window)).limit(window.limit + 1)), window)


def heads_of(
    rows: Rows, statement: Selection, lists: Mapping[ColumnElement[Any], Sequence[Any]], order: Order, window: Window
) -> Subquery:
    """The `id` and `place` of the first rows in a window for each value of some columns, or each combination of values.

    Both may be null where a value has no row.

    An index that begins with the columns has the rows of each value in order, but not those of several: databases sort
    them all, or look for them along another index, which can mean everything. Here nothing is read but the heads.
    """
    tables = {column: _table_of(rows, column, given) for column, given in lists.items()}
    each: FromClause = next(iter(tables.values()))
    for table in [*tables.values()][1:]:
        each = each.join(table, true())
    heads = _bounded(statement, order, window).where(*(column == table.c.value for column, table in tables.items()))
    heads = heads.correlate(*tables.values()).order_by(*_sort(order, window)).limit(window.limit + 1)
    columns: tuple[ColumnElement[Any], ...] = order.id.label("id"), order.column.label("place")
    if rows.takes_lists:
        found = heads.with_only_columns(*columns).lateral()
        return select(*found.c).select_from(each.join(found, true())).subquery()
    # SQLite has no lateral joins. It comes to a row in a single step by the number that it has for each, and may not
    # begin with the rows, as it would where they seem to be few: an outer join has an order.
    [whole] = statement.columns_clause_froms
    number: ColumnElement[int] = literal_column(f"{whole}.rowid", Integer)
    of_heads = number.in_(heads.with_only_columns(number))
    return select(*columns).select_from(each.outerjoin(whole, of_heads)).subquery()


def first_of(heads: Subquery, order: Order, window: Window) -> SelectBase:
    """The ids of the first rows of all heads together."""
    whole = replace(order, column=heads.c.place, id=heads.c.id)
    sort = (key.nulls_last() for key in _sort(whole, window))
    return select(heads.c.id).order_by(*sort).limit(window.limit + 1)


def _table_of(rows: Rows, column: ColumnElement[Any], values: Sequence[Any]) -> TableValuedAlias:
    """A list as a table, with a row for each value."""
    if rows.takes_lists:
        return func.unnest(literal([*values], ARRAY(column.type))).table_valued("value").render_derived()
    plain = [value.hex if isinstance(value, UUID) else value for value in values]
    return func.json_each(json.dumps(plain)).table_valued("value")


async def pages_of(
    rows: Rows, statement: Selection, owners: Owners, order: Order, window: Window
) -> dict[UUID, Page[Any]]:
    """Run a select through one window for each owner of its rows: one statement however many owners there are.

    Who owns nothing in the window is left out.
    """
    owned_by_them = statement.where(owners.column.in_(owners.ids))
    if len(owners.ids) == 1:
        # What somebody owns may be much: a page of it is read from an index, and nothing else is ranked for it.
        only = await page_of(rows, owned_by_them, order, window)
        return {owners.ids[0]: only} if only.items else {}
    place = func.row_number().over(partition_by=owners.column, order_by=_sort(order, window))
    places = place.label("place"), owners.column.label("owner")
    ranked = _bounded(owned_by_them, order, window).add_columns(*places).subquery()
    of_place = ranked.c.place
    wanted = select(*(column for column in ranked.c if column is not of_place)).where(of_place <= window.limit + 1)
    found: dict[UUID, list[Any]] = {}
    for row in await rows.all(wanted.order_by(of_place)):
        found.setdefault(row[-1], []).append(row[:-1])
    return {owner_id: _page(owned, window) for owner_id, owned in found.items()}


def _bounded(statement: Selection, order: Order, window: Window) -> Selection:
    keys = tuple_(order.column, order.id)
    for position, is_lower_bound in ((window.after, True), (window.before, False)):
        if position is not None:
            bound = (position.value, position.id)
            statement = statement.where(keys > bound if is_lower_bound != order.is_descending else keys < bound)
    return statement


def _sort(order: Order, window: Window) -> list[ColumnElement[Any]]:
    is_descending = order.is_descending != window.is_backward
    return [key.desc() if is_descending else key.asc() for key in (order.column, order.id)]


def _page(found: Sequence[Any], window: Window) -> Page[Any]:
    items, has_more = found[: window.limit], len(found) > window.limit
    if window.is_backward:
        return Page(items[::-1], has_next=window.before is not None, has_previous=has_more)
    return Page(items, has_next=has_more, has_previous=window.after is not None)
