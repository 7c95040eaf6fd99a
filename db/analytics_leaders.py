"""Selects that find who has most of something without adding up what everybody has.

What a user has is a sum over lists: what is held in each scope, what each day brought or took away, what waits to be
folded. Each list has a share of the number that is looked for, and all shares together are half of it at most. So
whoever reaches the number has, in the lists where it is more than the share, the other half beyond the shares; and
indexes give those rows and no others. See decision 0047.
"""

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CTE, BigInteger, ColumnElement, bindparam, cast, func, literal_column, select, union_all
from sqlalchemy.orm import Mapped
from sqlmodel import col

from db.analytics import LIMIT, SINCE, UNTIL, Extent, Period, in_scopes, total, waiting
from db.engine import Rows, Selection
from db.frequent import FrequentSelect
from db.models import DailyTotal, DailyUser, Delta, HeldUser, Member, User
from db.questions import UserMeasure

STEP = 4
"""How many times less than what is looked for is told as well, if it was found."""
_LEAST, _SCOPES = bindparam("least", type_=BigInteger), bindparam("scopes", type_=BigInteger)
_QUARTER, _EIGHTH = _LEAST // 4, _LEAST // 8
# No parameter: only what stands in the text itself shows that the rows wanted are those of the partial indexes. It
# comes after the share, because SQLite looks an index up by the first of two bounds.
_NOTHING: ColumnElement[int] = literal_column("0", BigInteger)


class LeaderRow(NamedTuple):
    """A user, and how much of something is known of the user: all of it, if it reaches what was looked for."""

    user_id: UUID
    number: int


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
        return self.extent.parameters | asdict(self.period) | own


async def of_all(rows: Rows, compared: Comparison) -> int:
    """What all users have together, also those who left."""
    [row] = await rows.frequent(_of_all(compared.extent.is_everything, compared.by), compared.parameters)
    number: int = row[0]
    return number


async def reaching(rows: Rows, compared: Comparison, least: int) -> list[LeaderRow]:
    """The users who have `least` or more, the most first; after them perhaps others, of whom not all is known.

    Who left is none of them; and who downloads in workspaces only while a member, so that nobody learns the names of
    those who were.
    """
    statement = _reaching(compared.extent.is_everything, compared.by)
    return [LeaderRow._make(row) for row in await rows.frequent(statement, compared.parameters | {"least": least})]


# Built once for each kind of question: composing these costs more than the database takes to answer them.


@cache
def _of_all(is_everything: bool, by: UserMeasure) -> FrequentSelect:  # noqa: FBT001
    folded: Selection = select(getattr(DailyTotal, by)).where(
        in_scopes(col(DailyTotal.scope_id)), _is_asked(col(DailyTotal.day), by)
    )
    fresh: Selection = select(getattr(Delta, by)).where(*waiting(is_everything), _is_asked(col(Delta.day), by))
    both = union_all(folded, fresh).subquery()
    return FrequentSelect(select(func.coalesce(total(both.c[by]), 0)))


@cache
def _reaching(is_everything: bool, by: UserMeasure) -> FrequentSelect:  # noqa: FBT001
    is_of_downloads = by is UserMeasure.DOWNLOADS
    fresh = _fresh(is_everything, by)
    known = _downloaded(fresh) if is_of_downloads else _held(fresh, by)
    parts = union_all(*known, select(fresh.c.user_id, fresh.c.number)).subquery()
    number = total(parts.c.number)
    sums: Selection = select(parts.c.user_id, number).group_by(parts.c.user_id)
    told = sums.having(number > 0, number >= _LEAST // STEP).subquery()
    leaders: Selection = select(told.c.user_id, told.c.number).join(User, col(User.id) == told.c.user_id)
    if is_of_downloads and not is_everything:
        members = select(col(Member.user_id)).where(in_scopes(col(Member.workspace_id)))
        leaders = leaders.where(told.c.user_id.in_(members))
    return FrequentSelect(leaders.order_by(told.c.number.desc(), told.c.user_id.desc()).limit(LIMIT))


def _fresh(is_everything: bool, by: UserMeasure) -> CTE:  # noqa: FBT001
    """What waits to be folded, by user."""
    number = total(getattr(Delta, by)).label("number")
    grouped: Selection = select(col(Delta.user_id), number).group_by(col(Delta.user_id))
    is_some = *waiting(is_everything), _is_asked(col(Delta.day), by), col(Delta.user_id).is_not(None)
    return grouped.where(*is_some, getattr(Delta, by) != 0).cte("fresh")


def _downloaded(fresh: CTE) -> list[Selection]:
    """What the candidates downloaded, by day. Days have half of the shares alike, and half by what they had of all."""
    day, of_day = col(DailyTotal.day), col(DailyTotal.downloads)
    of_all = cast(func.sum(of_day).over(), BigInteger)
    share = of_day // (4 * of_all // _LEAST + 1) + _EIGHTH // func.count().over()
    lists = _lists(share, _is_asked(day, UserMeasure.DOWNLOADS))
    downloads = col(DailyUser.downloads)
    above = _above(lists, downloads - lists.c.share, downloads > lists.c.share, downloads > _NOTHING)
    candidates = _candidates(fresh, above)
    return [_of(candidates, DailyUser, downloads, _is_asked(col(DailyUser.day), UserMeasure.DOWNLOADS))]


def _held(fresh: CTE, by: UserMeasure) -> list[Selection]:
    """What the candidates hold, and what has to be taken back of it: the days after the period are lists of losses."""
    lists = _lists(_EIGHTH // func.count().over(), col(DailyTotal.day) > UNTIL)
    held, change, share = getattr(HeldUser, by), getattr(DailyUser, by), _QUARTER // _SCOPES
    holders: Selection = select(col(HeldUser.user_id), (held - share).label("extra")).where(
        in_scopes(col(HeldUser.scope_id)), held > share
    )
    losses = _above(lists, -change - lists.c.share, change < -lists.c.share, change < _NOTHING)
    candidates = _candidates(fresh, holders, losses)
    return [_of(candidates, HeldUser, held), _of(candidates, DailyUser, -change, col(DailyUser.day) > UNTIL)]


def _lists(share: ColumnElement[int], is_asked: ColumnElement[bool]) -> CTE:
    """The days on which anything happened, in each scope, and the share that each has."""
    days: Selection = select(col(DailyTotal.scope_id), col(DailyTotal.day), share.label("share"))
    return days.where(in_scopes(col(DailyTotal.scope_id)), is_asked).cte("lists")


def _above(lists: CTE, extra: ColumnElement[int], *is_above: ColumnElement[bool]) -> Selection:
    """What users have more than the share in a list, where they have."""
    own = (col(DailyUser.scope_id) == lists.c.scope_id) & (col(DailyUser.day) == lists.c.day)
    found: Selection = select(col(DailyUser.user_id), extra.label("extra")).select_from(lists)
    return found.join(DailyUser, own).where(*is_above)


def _candidates(fresh: CTE, *above: Selection) -> CTE:
    """All who may reach what is looked for."""
    waits: Selection = select(fresh.c.user_id, (fresh.c.number - _EIGHTH).label("extra")).where(
        fresh.c.number > _EIGHTH
    )
    seen = union_all(*above, waits).subquery()
    grouped: Selection = select(seen.c.user_id).group_by(seen.c.user_id)
    return grouped.having(func.sum(seen.c.extra) >= _LEAST - _LEAST // 2).cte("candidates")


def _of(
    candidates: CTE,
    table: type[DailyUser | HeldUser],
    number: ColumnElement[int] | Mapped[int],
    *is_asked: ColumnElement[bool],
) -> Selection:
    own = (col(table.user_id) == candidates.c.user_id) & in_scopes(col(table.scope_id))
    found: Selection = select(candidates.c.user_id, number.label("number")).select_from(candidates)
    return found.join(table, own).where(*is_asked)


def _is_asked(day: Mapped[Any], by: UserMeasure) -> ColumnElement[bool]:
    """What happened, happened in the period; what is held is what was left at its end."""
    return day.between(SINCE, UNTIL) if by is UserMeasure.DOWNLOADS else day <= UNTIL
