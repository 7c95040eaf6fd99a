"""Selects on events: what happened, the newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Subquery, case, delete, false, func, select, true
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import Event
from db.pages import Order, Owners, first_of, heads_of, page_of, pages_of
from db.questions import EventFilter, Page, Window
from db.roles import is_member
from db.rows import EventRow

_COLUMNS = (
    col(Event.id),
    col(Event.kind),
    col(Event.actor_id),
    col(Event.workspace_id),
    col(Event.target_id),
    col(Event.size),
    col(Event.data),
    col(Event.address),
    col(Event.request_id),
    col(Event.created_at),
)
_NEWEST_FIRST = Order(col(Event.created_at), col(Event.id), is_descending=True)


async def page(rows: Rows, viewer_id: UUID, where: EventFilter, window: Window) -> Page[EventRow]:
    """A window of all events, with whether the viewer is a member where each happened.

    Indexes are by kind: whoever asks for more than some time of the whole log names kinds, if need be all of them.
    """
    conditions = _conditions(where)
    if where.kinds is not None:
        heads = _heads(rows, where, {}, window)
        conditions = [col(Event.id).in_(first_of(heads, _NEWEST_FIRST, window))]
    return (await page_of(rows, _for(viewer_id).where(*conditions), _NEWEST_FIRST, window)).of(EventRow._make)


async def count(rows: Rows, where: EventFilter) -> int:
    """How many events there are."""
    number: int = await rows.scalar(select(func.count()).select_from(Event).where(*_conditions(where)))
    return number


async def pages(
    rows: Rows, viewer_id: UUID, actor_ids: Sequence[UUID], where: EventFilter, window: Window
) -> dict[UUID, Page[EventRow]]:
    """For each actor a window of what it did, with whether the viewer is a member where each happened.

    Kinds are named. Who did nothing is left out, and so is whoever is not the actor that is asked for.
    """
    actor_ids = [each for each in actor_ids if where.actor_id in {None, each}]
    if len(actor_ids) == 1:
        only = await page(rows, viewer_id, replace(where, actor_id=actor_ids[0]), window)
        return {actor_ids[0]: only} if only.items else {}
    actors = {cast("ColumnElement[Any]", col(Event.actor_id)): actor_ids}
    heads = _heads(rows, where, actors, window)
    wanted = _for(viewer_id).where(col(Event.id).in_(select(heads.c.id)))
    found = await pages_of(rows, wanted, Owners(col(Event.actor_id), actor_ids), _NEWEST_FIRST, window)
    return {key: page.of(EventRow._make) for key, page in found.items()}


async def counts(rows: Rows, actor_ids: Sequence[UUID], where: EventFilter) -> dict[UUID, int]:
    """For each actor how much it did; who did nothing is left out."""
    statement = select(col(Event.actor_id), func.count().label("number")).where(
        *_conditions(where), col(Event.actor_id).in_(actor_ids)
    )
    return {row.actor_id: row.number for row in await rows.all(statement.group_by(col(Event.actor_id)))}


async def forget(tx: Transaction, kinds: Sequence[str], before: datetime, limit: int) -> int:
    """Remove the oldest events of these kinds that happened before that time; how many."""
    aged = select(col(Event.id)).where(col(Event.kind).in_(kinds), col(Event.created_at) < before)
    oldest = aged.order_by(col(Event.created_at)).limit(limit)
    return await tx.execute(delete(Event).where(col(Event.id).in_(oldest.scalar_subquery())))


def _heads(
    rows: Rows, where: EventFilter, lists: Mapping[ColumnElement[Any], Sequence[Any]], window: Window
) -> Subquery:
    """The first events of each kind, and of each value of these lists."""
    of_index = replace(where, kinds=None, workspace_id=where.workspace_id if where.target_id is None else None)
    conditions = _conditions(of_index)
    if where.workspace_id != of_index.workspace_id:
        # All of what became of a thing mostly did so in one workspace, where much else happened. No index is used for
        # a case, and databases expect it to hold for many.
        conditions.append(case((col(Event.workspace_id) == where.workspace_id, true()), else_=false()))
    kinds = {cast("ColumnElement[Any]", col(Event.kind)): list(dict.fromkeys(where.kinds or ()))}
    return heads_of(rows, select(Event).where(*conditions), {**lists, **kinds}, _NEWEST_FIRST, window)


def _for(viewer_id: UUID) -> Selection:
    return select(*_COLUMNS, is_member(col(Event.workspace_id), viewer_id).label("is_member"))


def _conditions(where: EventFilter) -> list[ColumnElement[bool]]:
    tests: list[ColumnElement[bool]] = []
    for column, wanted in (
        (col(Event.actor_id), where.actor_id),
        (col(Event.target_id), where.target_id),
        (col(Event.workspace_id), where.workspace_id),
    ):
        tests += [column == wanted] if wanted is not None else []
    tests += [col(Event.kind).in_(where.kinds)] if where.kinds is not None else []
    tests += [col(Event.created_at) >= where.created_from] if where.created_from is not None else []
    tests += [col(Event.created_at) < where.created_to] if where.created_to is not None else []
    return tests
