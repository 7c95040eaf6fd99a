"""Selects on what is counted by user: who holds or downloads most, and who does nothing. See `db.analytics`."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time
from functools import cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import CTE, BindParameter, ColumnElement, bindparam, func, literal, or_, select, union_all
from sqlalchemy.orm import Mapped
from sqlmodel import col

from db.analytics import LIMIT, SINCE, UNTIL, Extent, Period, in_scopes, total, waiting
from db.engine import Rows, Selection
from db.frequent import FrequentSelect
from db.models import DailyUser, Delta, HeldUser, Member, User
from db.pages import Order, page_of
from db.questions import Page, UserMeasure, Window
from db.rows import UserRow
from db.users import COLUMNS

_OLDEST_FIRST = Order(col(User.created_at), col(User.id), is_descending=False)


class UserSumRow(NamedTuple):
    """What is held of a user's at the end of a period, and how often the user downloaded in it."""

    user_id: UUID
    files: int
    bytes: int
    downloads: int


async def top(rows: Rows, extent: Extent, period: Period, by: UserMeasure, limit: int) -> list[UUID]:
    """The users with most of something, the most first, of those that there are and that have some of it at all."""
    statement = _top(extent.is_everything, len(extent.scope_ids) == 1, by)
    found = await rows.frequent(statement, extent.parameters | asdict(period) | {"limit": limit})
    return [row[0] for row in found]


async def sums_of(rows: Rows, extent: Extent, period: Period, user_ids: Sequence[UUID]) -> list[UserSumRow]:
    """What is counted of these users, in no particular order; nothing of those of whom nothing is known."""
    asked = extent.parameters | asdict(period) | {"user_ids": list(user_ids)}
    return [UserSumRow._make(row) for row in await rows.frequent(_sums(extent.is_everything), asked)]


async def inactive_page(rows: Rows, extent: Extent, since: date, window: Window) -> Page[UserRow]:
    """A window of the users who have done nothing since the beginning of a day, the oldest account first."""
    found = await page_of(rows, select(*COLUMNS).where(*_inactive(extent, since)), _OLDEST_FIRST, window)
    return found.of(UserRow._make)


async def count_inactive(rows: Rows, extent: Extent, since: date) -> int:
    """How many users have done nothing since the beginning of a day."""
    number: int = await rows.scalar(select(func.count()).select_from(User).where(*_inactive(extent, since)))
    return number


def _inactive(extent: Extent, since: date) -> list[ColumnElement[bool]]:
    active = select(col(HeldUser.user_id)).where(
        col(HeldUser.scope_id).in_(extent.scope_ids), col(HeldUser.active_on) >= since
    )
    recent = [] if extent.workspace_ids is None else [col(Delta.workspace_id).in_(extent.workspace_ids)]
    acts = (Delta.uploads, Delta.downloads, Delta.logins, Delta.users)
    lately = select(col(Delta.user_id)).where(
        *recent,
        col(Delta.day) >= since,
        col(Delta.user_id).is_not(None),
        or_(*(col(act) > 0 for act in acts)),
    )
    begin = datetime.combine(since, time(), UTC)
    tests = [col(User.created_at) < begin, col(User.id).not_in(active), col(User.id).not_in(lately)]
    if extent.workspace_ids is not None:
        members = select(col(Member.user_id)).where(
            col(Member.workspace_id).in_(extent.workspace_ids), col(Member.created_at) < begin
        )
        tests.append(col(User.id).in_(members))
    return tests


# Built once for each kind of question: composing these costs more than the database takes to answer them.


@cache
def _top(is_everything: bool, is_one: bool, by: UserMeasure) -> FrequentSelect:  # noqa: FBT001
    if by is UserMeasure.DOWNLOADS:
        statement = _downloaders(is_everything)
    else:
        statement = (_holders_in_one if is_one else _holders)(is_everything, by)
    sums = statement.subquery()
    ordered: Selection = select(sums.c.user_id).join(User, col(User.id) == sums.c.user_id).where(sums.c.number > 0)
    # The same way for both, as the indexes have it.
    return FrequentSelect(ordered.order_by(sums.c.number.desc(), sums.c.user_id.desc()).limit(LIMIT))


@cache
def _sums(is_everything: bool) -> FrequentSelect:  # noqa: FBT001
    named: BindParameter[UUID] = bindparam("user_ids", expanding=True)
    none = literal(0).label("downloads")
    downloads: Selection = select(col(DailyUser.user_id), literal(0), literal(0), col(DailyUser.downloads))
    fresh: Selection = select(col(Delta.user_id), literal(0), literal(0), col(Delta.downloads))
    # Not by the index of days, which PostgreSQL would take: it cannot know how much of everything one scope is.
    day = func.coalesce(col(DailyUser.day), col(DailyUser.day))
    within = day.between(SINCE, UNTIL)
    changes = _changes(is_everything, day > UNTIL, col(DailyUser.user_id).in_(named), col(Delta.user_id).in_(named))
    held: Selection = select(col(HeldUser.user_id), col(HeldUser.files), col(HeldUser.bytes), none)
    all_of_them = union_all(
        held.where(in_scopes(col(HeldUser.scope_id)), col(HeldUser.user_id).in_(named)),
        select(changes.c.user_id, changes.c.files, changes.c.bytes, literal(0)),
        downloads.where(in_scopes(col(DailyUser.scope_id)), within, col(DailyUser.user_id).in_(named)),
        fresh.where(*waiting(is_everything), _in_period(col(Delta.day)), col(Delta.user_id).in_(named)),
    ).subquery()
    sums = [total(all_of_them.c[name]) for name in ("files", "bytes", "downloads")]
    return FrequentSelect(select(all_of_them.c.user_id, *sums).group_by(all_of_them.c.user_id))


def _downloaders(is_everything: bool) -> Selection:  # noqa: FBT001
    """Who downloads; in workspaces its members, so that nobody learns the names of those who were."""
    folded = select(col(DailyUser.user_id), col(DailyUser.downloads)).where(
        in_scopes(col(DailyUser.scope_id)), _in_period(col(DailyUser.day)), col(DailyUser.downloads) != 0
    )
    fresh = select(col(Delta.user_id), col(Delta.downloads)).where(
        *waiting(is_everything), _in_period(col(Delta.day)), col(Delta.downloads) != 0
    )
    both = union_all(folded, fresh).subquery()
    summed: Selection = select(both.c.user_id, func.sum(both.c.downloads).label("number")).group_by(both.c.user_id)
    members = select(col(Member.user_id)).where(in_scopes(col(Member.workspace_id)))
    return summed if is_everything else summed.where(both.c.user_id.in_(members))


def _holders(is_everything: bool, by: UserMeasure) -> Selection:  # noqa: FBT001
    """Everyone who holds something in several scopes."""
    held = select(col(HeldUser.user_id), getattr(HeldUser, by)).where(in_scopes(col(HeldUser.scope_id)))
    changes = _changes(is_everything, col(DailyUser.day) > UNTIL)
    both = union_all(held, select(changes.c.user_id, changes.c[by])).subquery()
    return select(both.c.user_id, func.sum(both.c[by]).label("number")).group_by(both.c.user_id)


def _holders_in_one(is_everything: bool, by: UserMeasure) -> Selection:  # noqa: FBT001
    """In one scope: who holds most among those of whom nothing changed, by the index, and all others."""
    changes, measure = _changes(is_everything, col(DailyUser.day) > UNTIL), getattr(HeldUser, by)
    # Not a list of one: only by equality does the index give them in order, and no more than are wanted.
    own = col(HeldUser.scope_id) == bindparam("scope_id")
    unchanged: Selection = (
        select(col(HeldUser.user_id).label("user_id"), measure.label("number"))
        .join(User, col(User.id) == col(HeldUser.user_id))
        .where(own, measure > 0, col(HeldUser.user_id).not_in(select(changes.c.user_id)))
        .order_by(measure.desc(), col(HeldUser.user_id).desc())
        .limit(LIMIT)
    )
    now = (func.coalesce(measure, 0) + changes.c[by]).label("number")
    known = (col(HeldUser.user_id) == changes.c.user_id) & own
    changed: Selection = select(changes.c.user_id, now).select_from(changes).join(HeldUser, known, isouter=True)
    first = unchanged.subquery()
    return select(union_all(select(first.c.user_id, first.c.number), changed).subquery())


def _changes(
    is_everything: bool,  # noqa: FBT001
    is_later: ColumnElement[bool],
    *only: ColumnElement[bool],
) -> CTE:
    """By user what has to be added to what is held, to be what was held at the end of a day.

    `only` are conditions on what is folded, and on what is not.
    """
    later: Selection = select(col(DailyUser.user_id), -col(DailyUser.files), -col(DailyUser.bytes)).where(
        in_scopes(col(DailyUser.scope_id)), is_later, *only[:1]
    )
    fresh: Selection = select(col(Delta.user_id), col(Delta.files), col(Delta.bytes)).where(
        *waiting(is_everything), col(Delta.day) <= UNTIL, col(Delta.user_id).is_not(None), *only[1:]
    )
    both = union_all(fresh, later).subquery()
    sums = [total(both.c[name]) for name in ("files", "bytes")]
    return select(both.c.user_id, *sums).group_by(both.c.user_id).cte("changes")


def _in_period(day: Mapped[date]) -> ColumnElement[bool]:
    return day.between(SINCE, UNTIL)
