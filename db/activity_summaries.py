"""Selects on what users did in a period, wherever: rollups and the deltas that are not folded yet, in one statement."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from uuid import UUID

from sqlalchemy import BindParameter, bindparam, select, union_all
from sqlmodel import col

from db.analytics import SINCE, UNTIL, Period, total
from db.engine import Rows, Selection
from db.frequent import FrequentSelect
from db.models import WHOLE_SERVICE, DailyUser, Delta
from db.rows import ActivitySummaryRow

_NUMBERS = ("uploads", "uploaded", "downloads", "downloaded")


async def of_users(rows: Rows, user_ids: Sequence[UUID], period: Period) -> list[ActivitySummaryRow]:
    """What is counted of these users in a period, in no particular order; nothing of those who did nothing."""
    found = await rows.frequent(_sums(), asdict(period) | {"user_ids": list(user_ids)})
    return [ActivitySummaryRow._make(row) for row in found]


@cache
def _sums() -> FrequentSelect:
    named: BindParameter[UUID] = bindparam("user_ids", expanding=True)

    def of(source: type[DailyUser | Delta]) -> Selection:
        within = col(source.user_id).in_(named), col(source.day).between(SINCE, UNTIL)
        return select(col(source.user_id), *(getattr(source, name) for name in _NUMBERS)).where(*within)

    folded = of(DailyUser).where(col(DailyUser.scope_id) == WHOLE_SERVICE)
    both = union_all(folded, of(Delta)).subquery()
    return FrequentSelect(select(both.c.user_id, *(total(both.c[name]) for name in _NUMBERS)).group_by(both.c.user_id))
