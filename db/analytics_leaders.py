"""A select that finds who has most of something without adding up what everybody has.

What a user has is a sum over lists: what is held in each scope, what each month or day brought or took away, what waits
to be folded. The first of each list are added up: as many of them as are wanted have a number at least, and so the
number that is looked for is known. Each list has a share of it, and all shares together are half of it at most. So
whoever reaches the number has, in the lists where it is more than the share, the other half beyond the shares; and
indexes give those rows and no others. See decision 0047.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Subquery,
    and_,
    bindparam,
    case,
    exists,
    func,
    null,
    select,
    true,
    union_all,
)
from sqlmodel import col

from db.analytics import LIMIT, SINCE, UNTIL, Extent, Period, in_scopes, total, waiting
from db.analytics_lists import Lists, Source, lists_of, number_of, shares_of, sources_of
from db.analytics_spans import Span, parts
from db.engine import Rows, Selection
from db.frequent import FrequentSelect
from db.models import DailyTotal, Delta, Member, MonthlyTotal, User
from db.questions import UserMeasure

DEPTH = 2
"""For each user wanted, so many are added up to know how much the last of them has at least."""
_ASKED = bindparam("least", type_=BigInteger)


class LeaderRow(NamedTuple):
    """A user, and how much of something the user has."""

    user_id: UUID
    number: int


class Search(NamedTuple):
    """Who was found, the most first: all who have `least` or more, perhaps others after them.

    Without a `least` nobody was looked for: too few were seen to tell it.
    """

    least: int | None
    found: Sequence[LeaderRow]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Where and when users are compared, by what, and how many of the first are wanted."""

    extent: Extent
    period: Period
    by: UserMeasure
    limit: int

    @property
    def parameters(self) -> dict[str, Any]:
        """What a select of it is asked with."""
        own = {"limit": self.limit, "scopes": max(1, len(self.extent.scope_ids))}
        return self.extent.parameters | self.period.parameters | own


async def of_all(rows: Rows, compared: Comparison) -> int:
    """What all users have together, also those who left."""
    [row] = await rows.frequent(_of_all(compared.extent.is_everything, compared.by), compared.parameters)
    number: int = row[0]
    return number


async def search(rows: Rows, compared: Comparison, lists: Lists, least: int | None = None) -> Search:
    """The users who have so much or more; where that is not said, as much as the last of those wanted has at least.

    Who left is none of them; and who downloads in workspaces only while a member, so that nobody learns the names of
    those who were.
    """
    statement = _search(compared.extent.is_everything, compared.by, lists)
    found = await rows.frequent(statement, compared.parameters | {"least": least})
    return Search(found[0][0], [LeaderRow(*row[1:]) for row in found if row[1] is not None])


async def days_after(rows: Rows, compared: Comparison) -> int:
    """How long after the period the last day is of which anything is folded; 0 where there is none."""
    [row] = await rows.frequent(_last(), compared.parameters)
    return 0 if row[0] is None else (row[0] - compared.period.until).days


# Built once for each kind of question: composing these costs more than the database takes to answer them.


@cache
def _last() -> FrequentSelect:
    [later] = parts(Span.LATER, DailyTotal, MonthlyTotal)
    return FrequentSelect(select(func.max(later.start)).where(in_scopes(later.column("scope_id")), later.is_asked))


@cache
def _of_all(is_everything: bool, by: UserMeasure) -> FrequentSelect:  # noqa: FBT001
    span = parts(Span.WITHIN, DailyTotal, MonthlyTotal)
    if by is not UserMeasure.DOWNLOADS:
        span += parts(Span.BEFORE, DailyTotal, MonthlyTotal)
    folded = [
        select(part.column(by).label("number")).where(in_scopes(part.column("scope_id")), part.is_asked)
        for part in span
    ]
    fresh: Selection = select(getattr(Delta, by)).where(*waiting(is_everything), _is_asked(by))
    all_of_them = union_all(*folded, fresh).subquery()
    return FrequentSelect(select(func.coalesce(total(all_of_them.c.number), 0)))


@cache
def _search(is_everything: bool, by: UserMeasure, kind: Lists) -> FrequentSelect:  # noqa: FBT001
    fresh, lists = _fresh(is_everything, by), lists_of(kind, by)
    sources = sources_of(kind, by)

    def told(people: CTE) -> Subquery:
        """What these have, those of them who are there, if it is anything."""
        waits = select(fresh.c.number).where(fresh.c.user_id == people.c.user_id).scalar_subquery()
        number = (number_of(people.c.user_id, kind, by) + func.coalesce(waits, 0)).label("number")
        sums = select(people.c.user_id, number).join(User, col(User.id) == people.c.user_id)
        if by is UserMeasure.DOWNLOADS and not is_everything:
            members = select(col(Member.user_id)).where(in_scopes(col(Member.workspace_id)))
            sums = sums.where(people.c.user_id.in_(members))
        # Else what a database puts in more than one place of the select is added up as often.
        found = sums.cte(f"of_{people.name}").prefix_with("MATERIALIZED")
        leaders: Selection = select(found.c.user_id, found.c.number).where(found.c.number > 0)
        return leaders.order_by(found.c.number.desc(), found.c.user_id.desc()).limit(LIMIT).subquery()

    ends = [source.ends(lists, DEPTH * LIMIT) for source in sources]
    least = _least(told(_first(sources, ends, fresh)), ends)
    bound = select(least.c.least).scalar_subquery()
    found = told(_candidates(sources, shares_of(lists, kind, bound), fresh, bound))
    every: Selection = select(least.c.least, found.c.user_id, found.c.number)
    wanted = every.select_from(least.outerjoin(found, true()))
    return FrequentSelect(wanted.order_by(found.c.number.desc(), found.c.user_id.desc()))


def _first(sources: Sequence[Source], ends: Sequence[CTE], fresh: CTE) -> CTE:
    """Some users who have much: of the first of each list, those who have most in all of these.

    Of what was lost they are not needed where the others are long: it is little beside those.
    """
    last = select(fresh.c.number).order_by(fresh.c.number.desc()).offset(DEPTH * LIMIT).limit(1).scalar_subquery()
    waits: Selection = select(fresh.c.user_id, fresh.c.number, null()).where(fresh.c.number > func.coalesce(last, 0))
    is_short = ~exists().where(ends[0].c.bound > 0)
    above = [
        source.above(lists).where(is_short) if source.is_lost else source.above(lists)
        for source, lists in zip(sources, ends, strict=True)
    ]
    seen = union_all(*above, waits).subquery()
    grouped: Selection = select(seen.c.user_id).group_by(seen.c.user_id)
    return grouped.order_by(func.sum(seen.c.number).desc()).limit(DEPTH * LIMIT).cte("first")


def _least(told: Subquery, ends: Sequence[CTE]) -> CTE:
    """What the last of those wanted has at least; anything where no list is long, since they are read whole then."""
    last = select(case((func.count() >= LIMIT, func.min(told.c.number)))).select_from(told).scalar_subquery()
    is_short = and_(*(~exists().where(lists.c.bound > 0) for lists in ends))
    return select(func.coalesce(_ASKED, last, case((is_short, 1))).label("least")).cte("least")


def _candidates(sources: Sequence[Source], shares: CTE, fresh: CTE, least: ColumnElement[int]) -> CTE:
    """All who may reach what is looked for, since they have half of it beyond the shares. What waits has an eighth."""
    waits: Selection = select(fresh.c.user_id, fresh.c.number, (fresh.c.number - least // 8).label("beyond"))
    above = [source.above(shares) for source in sources]
    seen = union_all(*above, waits.where(fresh.c.number > least // 8)).subquery()
    grouped: Selection = select(seen.c.user_id).group_by(seen.c.user_id)
    return grouped.having(func.sum(seen.c.beyond) >= least - least // 2).cte("candidates")


def _fresh(is_everything: bool, by: UserMeasure) -> CTE:  # noqa: FBT001
    """What waits to be folded, by user."""
    number = total(getattr(Delta, by)).label("number")
    grouped: Selection = select(col(Delta.user_id), number).group_by(col(Delta.user_id))
    is_some = *waiting(is_everything), _is_asked(by), col(Delta.user_id).is_not(None)
    return grouped.where(*is_some, getattr(Delta, by) != 0).cte("fresh")


def _is_asked(by: UserMeasure) -> ColumnElement[bool]:
    """What happened, happened in the period; what is held is what was left at its end."""
    return col(Delta.day).between(SINCE, UNTIL) if by is UserMeasure.DOWNLOADS else col(Delta.day) <= UNTIL
