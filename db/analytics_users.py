"""Selects on what is counted by user: who holds or downloads most, and who does nothing. See `db.analytics`."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from functools import cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, case, func, or_, select
from sqlmodel import col

from db.analytics import SINCE, UNTIL, Extent, Period, total, waiting
from db.analytics_spans import Span
from db.analytics_sums import held_of, sum_of
from db.engine import Rows, Selection
from db.frequent import FrequentSelect
from db.models import WHOLE_SERVICE, Delta, HeldUser, Member, User
from db.pages import Order, page_of
from db.questions import Page, Window
from db.rows import UserRow
from db.users import COLUMNS

FEW = 1000
"""As many users are looked up by their ids."""
_OLDEST_FIRST = Order(col(User.created_at), col(User.id), is_descending=False)


class UserSumRow(NamedTuple):
    """What is held of a user's at the end of a period, and how often the user downloaded in it."""

    user_id: UUID
    files: int
    bytes: int
    downloads: int


async def sums_of(rows: Rows, extent: Extent, period: Period, user_ids: Sequence[UUID]) -> list[UserSumRow]:
    """What is counted of these users, in no particular order; nothing of those who left."""
    asked = extent.parameters | period.parameters | {"user_ids": list(user_ids)}
    return [UserSumRow._make(row) for row in await rows.frequent(_sums(extent.is_everything), asked)]


async def inactive_page(rows: Rows, extent: Extent, since: date, window: Window, *, few: int = FEW) -> Page[UserRow]:
    """A window of the users who have done nothing since the beginning of a day, the oldest account first."""
    is_everything = extent.workspace_ids is None
    sleeps = await _sleeps_anywhere(rows, since, few) if is_everything else _sleeps(extent, since)
    wanted = select(*COLUMNS).where(*_inactive(extent, since), sleeps)
    return (await page_of(rows, wanted, _OLDEST_FIRST, window)).of(UserRow._make)


async def count_inactive(rows: Rows, extent: Extent, since: date) -> int:
    """How many users have done nothing since the beginning of a day."""
    wanted = select(func.count()).select_from(User).where(*_inactive(extent, since), _sleeps(extent, since))
    number: int = await rows.scalar(wanted)
    return number


def _inactive(extent: Extent, since: date) -> list[ColumnElement[bool]]:
    """Who was there before, and has done nothing that is not folded yet."""
    recent = [] if extent.workspace_ids is None else [col(Delta.workspace_id).in_(extent.workspace_ids)]
    acts = (Delta.uploads, Delta.downloads, Delta.logins, Delta.users)
    lately = select(col(Delta.user_id)).where(
        *recent,
        col(Delta.day) >= since,
        col(Delta.user_id).is_not(None),
        or_(*(col(act) > 0 for act in acts)),
    )
    begin = datetime.combine(since, time(), UTC)
    tests = [col(User.created_at) < begin, col(User.id).not_in(lately)]
    if extent.workspace_ids is None:
        return tests
    members = select(col(Member.user_id)).where(
        col(Member.workspace_id).in_(extent.workspace_ids), col(Member.created_at) < begin
    )
    return [*tests, col(User.id).in_(members)]


def _sleeps(extent: Extent, since: date) -> ColumnElement[bool]:
    """Whose last folded act, if there was any, came before that day."""
    of_scopes = select(col(HeldUser.user_id)).where(col(HeldUser.scope_id).in_(extent.scope_ids))
    return col(User.id).not_in(of_scopes.where(col(HeldUser.active_on) >= since))


async def _sleeps_anywhere(rows: Rows, since: date, few: int) -> ColumnElement[bool]:
    """The same for the whole service, where everybody is, as a page of it costs least.

    Only counting tells whether few sleep, who are looked up then, or many, so that the oldest accounts are gone through
    until enough are found: a database that guesses goes through all accounts to find nobody.
    """
    here = col(HeldUser.scope_id) == WHOLE_SERVICE
    asleep = select(col(HeldUser.user_id)).where(here, col(HeldUser.active_on) < since)
    found = await rows.all(asleep.limit(few + 1))
    last = select(col(HeldUser.active_on)).where(here, col(HeldUser.user_id) == col(User.id)).scalar_subquery()
    # Asked again of those few: one who did something may have been folded since they were looked for.
    return last < since if len(found) > few else and_(col(User.id).in_([row.user_id for row in found]), last < since)


# Built once for each kind of question: composing these costs more than the database takes to answer them.


@cache
def _sums(is_everything: bool) -> FrequentSelect:  # noqa: FBT001
    named: BindParameter[UUID] = bindparam("user_ids", expanding=True)
    lately = case((col(Delta.day) >= SINCE, col(Delta.downloads)), else_=0).label("downloads")
    waits = select(col(Delta.user_id), total(Delta.files), total(Delta.bytes), total(lately)).where(  # type: ignore[arg-type]
        *waiting(is_everything), col(Delta.user_id).in_(named), col(Delta.day) <= UNTIL
    )
    fresh = waits.group_by(col(Delta.user_id)).cte("fresh")
    user_id = col(User.id)
    held = [
        held_of(user_id, name) - sum_of(user_id, name, Span.AFTER) + func.coalesce(fresh.c[name], 0)
        for name in ("files", "bytes")
    ]
    downloads = sum_of(user_id, "downloads", Span.WITHIN) + func.coalesce(fresh.c.downloads, 0)
    sums: Selection = select(user_id, *held, downloads)
    return FrequentSelect(sums.outerjoin(fresh, fresh.c.user_id == user_id).where(user_id.in_(named)))
