"""The lists that what users have is a sum over: what is held in each scope, what each month or day brought or took.

Indexes have the first of each. What for is in `db.analytics_leaders`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Date,
    bindparam,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlmodel import SQLModel, col

from db.analytics import in_scopes
from db.analytics_spans import Part, Span, parts
from db.analytics_sums import held_of, sum_of
from db.engine import Selection
from db.models import DailyTotal, DailyUser, HeldUser, MonthlyTotal, MonthlyUser
from db.questions import UserMeasure

_SCOPES = bindparam("scopes", type_=BigInteger)
_NO_DAY: ColumnElement[date] = cast(null(), Date)
# No parameter: only what stands in the text itself shows that the rows wanted are those of the partial indexes. It
# comes after the bound, because SQLite looks an index up by the first of two bounds.
_NOTHING: ColumnElement[int] = literal_column("0", BigInteger)


@dataclass(frozen=True, slots=True)
class Source:
    """A table that has lists. What is lost stands there as less than nothing."""

    table: type[HeldUser | DailyUser | MonthlyUser]
    measure: UserMeasure
    is_lost: bool

    def ends(self, lists: CTE, depth: ColumnElement[int]) -> CTE:
        """Its lists, each with a `bound` that so many users are above; nothing where there are not more of them."""
        order = self._column if self.is_lost else self._column.desc()
        own = select(self._number).where(self._is_in(lists), self._is_some)
        last = own.order_by(order).offset(depth).limit(1).correlate(lists).scalar_subquery()
        keys = lists.c.scope_id, lists.c.day, lists.c.month
        ends = select(*keys, func.coalesce(last, 0).label("bound")).where(self._has(lists))
        return ends.cte(f"ends_of_{self.table.__tablename__}")

    def above(self, lists: CTE) -> Selection:
        """The users who have more in a list than its `bound`: what they have, and how much of it is beyond."""
        bound = lists.c.bound
        found: Selection = select(col(self.table.user_id), self._number, (self._number - bound).label("beyond"))
        own = found.select_from(lists).join(self.table, self._is_in(lists))
        return own.where(self._column < -bound if self.is_lost else self._column > bound, self._is_some)

    @property
    def _column(self) -> ColumnElement[int]:
        column: ColumnElement[int] = getattr(self.table, self.measure)
        return column

    @property
    def _number(self) -> ColumnElement[int]:
        return (-self._column if self.is_lost else self._column).label("number")

    @property
    def _is_some(self) -> ColumnElement[bool]:
        return self._column < _NOTHING if self.is_lost else self._column > _NOTHING

    def _has(self, lists: CTE) -> ColumnElement[bool]:
        day, month = lists.c.day, lists.c.month
        if self.table is HeldUser:
            return day.is_(None) & month.is_(None)
        return (month if self.table is MonthlyUser else day).is_not(None)

    def _is_in(self, lists: CTE) -> ColumnElement[bool]:
        is_there = col(self.table.scope_id) == lists.c.scope_id
        if self.table is HeldUser:
            return is_there & self._has(lists)
        if self.table is MonthlyUser:
            return is_there & (col(MonthlyUser.month) == lists.c.month)
        return is_there & (col(DailyUser.day) == lists.c.day)


class Lists(Enum):
    """What lists a number is a sum over: what is held, if that is one of them, what spans added and what spans lost."""

    HAPPENED = (False, Span.WITHIN, None)
    """What happened in the period."""
    HELD = (True, None, Span.LATER)
    """What is held now, less what came after the period: for one that nothing or little is after."""
    BROUGHT = (False, Span.UP_TO, Span.REST)
    """The same, from the beginning on: those who have much now may have had little then."""

    def __init__(self, is_held: bool, added: Span | None, lost: Span | None) -> None:  # noqa: FBT001
        self.is_held, self.added, self.lost = is_held, added, lost

    def parts(self, days: type[SQLModel], months: type[SQLModel]) -> list[tuple[Part, bool]]:
        """The parts of its spans in these tables, and whether they are lost."""
        spans = ((self.added, False), (self.lost, True))
        return [(part, is_lost) for span, is_lost in spans if span for part in parts(span, days, months)]


def sources_of(lists: Lists, by: UserMeasure) -> Sequence[Source]:
    """Where the lists are."""
    lost = {part.table: is_lost for part, is_lost in lists.parts(DailyUser, MonthlyUser)}
    over_time = [Source(table, by, lost[table]) for table in (MonthlyUser, DailyUser) if table in lost]
    return [Source(HeldUser, by, is_lost=False), *over_time] if lists.is_held else over_time


def lists_of(lists: Lists, by: UserMeasure) -> CTE:
    """Each list, by its scope and day or month; without either it is what is held. `size` is what all have in it."""
    nothing: ColumnElement[int] = literal(0, BigInteger)

    def size(part: Part, is_lost: bool) -> ColumnElement[int]:  # noqa: FBT001
        number = part.column(by)
        return nothing if is_lost else case((number > 0, number), else_=nothing)

    each: list[Selection] = [
        select(
            part.column("scope_id").label("scope_id"),
            (_NO_DAY if part.is_monthly else part.start).label("day"),
            (part.start if part.is_monthly else _NO_DAY).label("month"),
            size(part, is_lost).label("size"),
        ).where(in_scopes(part.column("scope_id")), part.is_asked)
        for part, is_lost in lists.parts(DailyTotal, MonthlyTotal)
    ]
    if lists.is_held:
        scope_id = col(MonthlyTotal.scope_id)
        each.append(select(scope_id, _NO_DAY, _NO_DAY, nothing).where(in_scopes(scope_id)).group_by(scope_id))
    return union_all(*each).cte("lists")


def shares_of(lists: CTE, kind: Lists, least: ColumnElement[int]) -> CTE:
    """Each list with its share of a number as `bound`, at most three eighths all together.

    What is held has one, alike in all scopes, and the days after it two, alike. Otherwise months and days have one
    alike, and two by what all have in them, so that busy ones do not make candidates of many.
    """
    of_all = cast(func.sum(lists.c.size).over(), BigInteger)
    alike = least // (4 if kind.is_held else 8) // func.count().over()
    is_held = lists.c.day.is_(None) & lists.c.month.is_(None)
    share = case((is_held, least // 8 // _SCOPES), else_=lists.c.size // (4 * of_all // least + 1) + alike)
    return select(lists.c.scope_id, lists.c.day, lists.c.month, share.label("bound")).cte("shares")


def number_of(user_id: ColumnElement[UUID], lists: Lists, by: UserMeasure) -> ColumnElement[int]:
    """What a user has in all lists."""
    number = held_of(user_id, by) if lists.is_held else literal(0, BigInteger)
    if lists.added:
        number += sum_of(user_id, by, lists.added)
    return number - sum_of(user_id, by, lists.lost) if lists.lost else number
