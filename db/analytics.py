"""Selects on what is counted: rollups and the deltas that are not folded yet, together in one statement.

So each answer is as of one moment, whoever folds meanwhile: a delta is in the one or in the other.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Date, bindparam, case, cast, func, null, or_, select, union_all
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel, col

from db.analytics_spans import Part, Span, parameters, parts
from db.engine import Rows, Selection
from db.frequent import FrequentSelect
from db.models import (
    WHOLE_SERVICE,
    DailyMediaType,
    DailyTotal,
    Delta,
    HeldMediaType,
    Member,
    MonthlyMediaType,
    MonthlyTotal,
)

_NUMBERS = ("files", "bytes", "uploads", "uploaded", "downloads", "downloaded", "users")
_HELD, _MEDIA_TYPE = ("files", "bytes"), "media_type"
SINCE, UNTIL, LIMIT = (
    bindparam("since", type_=Date),
    bindparam("until", type_=Date),
    bindparam("limit", type_=BigInteger),
)


@dataclass(frozen=True, slots=True)
class Extent:
    """Where something is counted: in these workspaces, or in the whole service when there are none named."""

    workspace_ids: tuple[UUID, ...] | None

    @property
    def scope_ids(self) -> tuple[UUID, ...]:
        """The scopes of the rollups that it is made of."""
        return (WHOLE_SERVICE,) if self.workspace_ids is None else self.workspace_ids

    @property
    def is_everything(self) -> bool:
        """Whether it is the whole service."""
        return self.workspace_ids is None

    @property
    def parameters(self) -> dict[str, Any]:
        """What a select of it is asked with."""
        scopes: dict[str, Any] = {"scope_ids": list(self.scope_ids), "scope_id": next(iter(self.scope_ids), None)}
        return scopes if self.workspace_ids is None else scopes | {"workspace_ids": list(self.workspace_ids)}


@dataclass(frozen=True, slots=True)
class Period:
    """Days, the first and the last included."""

    since: date
    until: date

    @property
    def parameters(self) -> dict[str, Any]:
        """What a select of it is asked with."""
        return asdict(self) | parameters(self.since, self.until)


class DayRow(NamedTuple):
    """What a day added, or took away; without a day, what all days before the period did."""

    day: date | None
    files: int
    bytes: int
    uploads: int
    uploaded: int
    downloads: int
    downloaded: int
    users: int


Values: TypeAlias = Sequence[Any]
"""The values of a row. Of years there are so many that making the rows would cost as much as finding them."""


class MediaTypeRow(NamedTuple):
    """What is held of a media type."""

    media_type: str
    files: int
    bytes: int


async def days(rows: Rows, extent: Extent, period: Period) -> Sequence[Values]:
    """The DayRows of a period on which something changed, and one for all before it, in no particular order."""
    return await rows.frequent(_days(extent.is_everything, is_by_month=False), extent.parameters | period.parameters)


async def months(rows: Rows, extent: Extent, period: Period) -> Sequence[Values]:
    """The same of whole months, as their first days; days are left before the first of them and after the last."""
    return await rows.frequent(_days(extent.is_everything, is_by_month=True), extent.parameters | period.parameters)


async def media_types(rows: Rows, extent: Extent, period: Period, limit: int) -> list[MediaTypeRow]:
    """The media types of which most bytes are held at the end of a period, the most first."""
    asked = extent.parameters | period.parameters | {"limit": limit}
    return [MediaTypeRow._make(row) for row in await rows.frequent(_media_types(extent.is_everything), asked)]


async def members_in(rows: Rows, workspace_ids: Sequence[UUID]) -> int:
    """How many people are members of at least one of the workspaces."""
    members = func.count(func.distinct(col(Member.user_id)))
    number: int = await rows.scalar(select(members).where(col(Member.workspace_id).in_(workspace_ids)))
    return number


def in_scopes(column: ColumnElement[UUID] | Mapped[UUID]) -> ColumnElement[bool]:
    """Which rollups are about an extent."""
    return column.in_(bindparam("scope_ids", expanding=True))


def waiting(is_everything: bool) -> list[ColumnElement[bool]]:  # noqa: FBT001 - a part of a select that is built once
    """Which deltas are about an extent and not folded yet."""
    return [] if is_everything else [col(Delta.workspace_id).in_(bindparam("workspace_ids", expanding=True))]


def total(column: ColumnElement[int]) -> ColumnElement[int]:
    """A sum that is a whole number on every database."""
    return cast(func.sum(column), BigInteger).label(column.key)


# Built once for each kind of question: composing these costs more than the database takes to answer them.


@cache
def _days(is_everything: bool, is_by_month: bool) -> FrequentSelect:  # noqa: FBT001
    def of(day: ColumnElement[date] | Mapped[date], source: type[SQLModel]) -> Selection:
        return select(day.label("day"), *(getattr(source, name) for name in _NUMBERS))

    def folded(part: Part, day: ColumnElement[date]) -> Selection:
        return of(day, part.table).where(in_scopes(part.column("scope_id")), part.is_asked)

    every_day = of(col(DailyTotal.day), DailyTotal).where(
        in_scopes(col(DailyTotal.scope_id)), col(DailyTotal.day).between(SINCE, UNTIL)
    )
    within = [folded(part, part.start) for part in parts(Span.WITHIN, DailyTotal, MonthlyTotal)]
    # A day before the period is none: the sums of all of them are one row.
    before = [folded(part, cast(null(), Date)) for part in parts(Span.BEFORE, DailyTotal, MonthlyTotal)]
    fresh = of(case((col(Delta.day) >= SINCE, col(Delta.day))), Delta).where(
        *waiting(is_everything), col(Delta.day) <= UNTIL
    )
    both = union_all(*(within if is_by_month else [every_day]), *before, fresh).subquery()
    sums = (total(both.c[name]) for name in _NUMBERS)
    return FrequentSelect(select(both.c.day, *sums).group_by(both.c.day))


@cache
def _media_types(is_everything: bool) -> FrequentSelect:  # noqa: FBT001
    def of(source: type[SQLModel], sign: int = 1) -> Selection:
        held = ((sign * getattr(source, name)).label(name) for name in _HELD)
        return select(getattr(source, _MEDIA_TYPE), *held)

    later = [
        of(part.table, -1).where(in_scopes(part.column("scope_id")), part.is_asked)
        for part in parts(Span.AFTER, DailyMediaType, MonthlyMediaType)
    ]
    all_of_them = union_all(
        of(HeldMediaType).where(in_scopes(col(HeldMediaType.scope_id))),
        *later,
        of(Delta).where(*waiting(is_everything), col(Delta.media_type).is_not(None), col(Delta.day) <= UNTIL),
    ).subquery()
    files, size = total(all_of_them.c.files), total(all_of_them.c.bytes)
    is_some = or_(func.sum(all_of_them.c.files) != 0, func.sum(all_of_them.c.bytes) != 0)
    grouped: Selection = select(all_of_them.c.media_type, files, size).group_by(all_of_them.c.media_type)
    return FrequentSelect(grouped.having(is_some).order_by(size.desc(), all_of_them.c.media_type).limit(LIMIT))
