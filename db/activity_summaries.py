"""Selects on what users did in a period, wherever: rollups and the deltas that are not folded yet, in one statement."""

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, func, select
from sqlmodel import col

from db.analytics import SINCE, UNTIL, Extent, Period, total
from db.analytics_spans import Span
from db.analytics_sums import sum_of
from db.engine import Rows, Selection
from db.frequent import FrequentSelect
from db.models import Delta, User
from db.rows import ActivitySummaryRow

EVERYWHERE = Extent(None)
_NUMBERS = ("uploads", "uploaded", "downloads", "downloaded")


async def of_users(rows: Rows, user_ids: Sequence[UUID], period: Period) -> list[ActivitySummaryRow]:
    """What is counted of these users in a period, in no particular order; nothing of those who left."""
    found = await rows.frequent(_sums(), EVERYWHERE.parameters | period.parameters | {"user_ids": list(user_ids)})
    return [ActivitySummaryRow._make(row) for row in found]


@cache
def _sums() -> FrequentSelect:
    named: BindParameter[UUID] = bindparam("user_ids", expanding=True)
    waits = select(col(Delta.user_id), *(total(getattr(Delta, name)) for name in _NUMBERS)).where(
        col(Delta.user_id).in_(named), col(Delta.day).between(SINCE, UNTIL)
    )
    fresh, user_id = waits.group_by(col(Delta.user_id)).cte("fresh"), col(User.id)
    sums = [sum_of(user_id, name, Span.WITHIN) + func.coalesce(fresh.c[name], 0) for name in _NUMBERS]
    every: Selection = select(user_id, *sums)
    return FrequentSelect(every.outerjoin(fresh, fresh.c.user_id == user_id).where(user_id.in_(named)))
