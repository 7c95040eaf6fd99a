"""What was counted, as it was at most so many seconds ago: whoever may know the same shares the answers.

Answers that were begun in the same seconds belong together. Each knows of everything that had happened when the first
was begun: that moment is what they are as of. Who may know what is found out beforehand, anew each time. People are
kept as ids alone.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from db import cache
from db.analytics import DayRow, MediaTypeRow, Values
from db.analytics_users import UserSumRow
from db.cache import Cache
from db.engine import Database, Rows
from db.questions import Page, UserMeasure, Window
from domain import analytics
from domain.analytics import Question, Totals
from domain.analytics_buckets import Interval, Series


@dataclass(frozen=True, slots=True)
class Statistics:
    """Where answers are kept, and for how long; for no time, everything is computed whenever it is asked."""

    cache: Cache
    life_seconds: float


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to a question. `as_of` is the moment up to which everything that happened is in all of them."""

    db: Database
    statistics: Statistics
    question: Question
    as_of: datetime

    @classmethod
    async def begin(cls, db: Database, statistics: Statistics, question: Question, now: datetime) -> "Answers":
        """Those that somebody has begun, if they are young enough."""
        if not statistics.life_seconds:
            return cls(db, statistics, question, now)
        asked = _asked(question, "analytics.begin")
        begun = await statistics.cache.answer(asked, statistics.life_seconds, _nothing)
        return cls(db, statistics, question, begun.as_of)

    async def series(self, interval: Interval = Interval.DAY) -> Series:
        """See `domain.analytics.series`."""
        question = self.question

        async def compute(rows: Rows) -> list[Any]:
            return _columns(await analytics.rows_of_series(rows, question, interval))

        name, by_month = "analytics.days", interval is Interval.MONTH
        found = await self._answer(name, compute, _days, columns=DayRow._fields, by_month=by_month)
        return Series.of(question.period, found)

    async def totals(self, days: Series) -> Totals:
        """See `domain.analytics.totals`."""

        async def compute(rows: Rows) -> Totals:
            return await analytics.totals(rows, self.question, days)

        told: Totals = await self._answer("analytics.totals", compute, _totals, columns=Totals._fields)
        return told

    async def media_types(self, first: int) -> list[MediaTypeRow]:
        """See `domain.analytics.media_types`. Raises InvalidInput."""

        async def compute(rows: Rows) -> Sequence[MediaTypeRow]:
            return await analytics.media_types(rows, self.question, first)

        name, columns = "analytics.media_types", MediaTypeRow._fields
        told: list[MediaTypeRow] = await self._answer(name, compute, _media_types, columns=columns, first=first)
        return told

    async def top_users(self, by: UserMeasure, first: int) -> list[UserSumRow]:
        """See `domain.analytics.top_users`. Raises InvalidInput."""

        async def compute(rows: Rows) -> list[Any]:
            found = await analytics.top_users(rows, self.question, by, first)
            return [(row.user_id.hex, *row[1:]) for row in found]

        name, columns = "analytics.top_users", UserSumRow._fields
        told: list[UserSumRow] = await self._answer(name, compute, _user_sums, columns=columns, by=by, first=first)
        return told

    async def inactive_page(self, since: date, window: Window) -> Page[UUID]:
        """See `domain.analytics.inactive_page`; here the users are ids. Raises InvalidInput."""

        async def compute(rows: Rows) -> Any:  # noqa: ANN401 - as JSON has it
            page = await analytics.inactive_page(rows, self.question, since, window)
            return [row.id.hex for row in page.items], page.has_next, page.has_previous

        wanted = {"since": since.isoformat(), "window": repr(window)}
        told: Page[UUID] = await self._answer("analytics.inactive", compute, _page, **wanted)
        return told

    async def count_inactive(self, since: date) -> int:
        """See `domain.analytics.count_inactive`."""

        async def compute(rows: Rows) -> int:
            return await analytics.count_inactive(rows, self.question, since)

        told: int = await self._answer("analytics.inactive_count", compute, _number, since=since.isoformat())
        return told

    async def _answer(
        self, name: str, compute: Callable[[Rows], Awaitable[Any]], read: Callable[[Any], Any], **parameters: object
    ) -> Any:  # noqa: ANN401 - what `read` gives
        async def computed() -> Any:  # noqa: ANN401 - as JSON has it
            async with self.db.reading() as rows:
                return await compute(rows)

        life_seconds = self.statistics.life_seconds
        if not life_seconds:
            return read(await computed())
        # Of the same beginning, and of the same shape: another release may have another.
        asked = _asked(self.question, name, **parameters, begun=self.as_of.timestamp())
        return (await self.statistics.cache.answer(asked, life_seconds, computed, read)).value


def _asked(question: Question, name: str, **parameters: object) -> cache.Question:
    """Where something is counted is by which right it is asked: whoever may know of the same places knows the same."""
    places = question.extent.workspace_ids
    rights = frozenset(["everything"] if places is None else [place.hex for place in places])
    period = question.period.since.isoformat(), question.period.until.isoformat()
    return cache.Question(name, rights, parameters | {"period": period})


async def _nothing() -> None:
    """What is kept is when it was begun."""


# Whoever writes into Redis may have put there what is no answer: these raise ValueError or TypeError for it.


def _number(told: Any) -> int:  # noqa: ANN401 - as JSON has it
    if type(told) is not int:
        raise TypeError
    return told


def _columns(found: Sequence[Values]) -> list[Any]:
    """DayRows by their columns: of years these are thousands of numbers, which are read together."""
    days, *sums = zip(*found, strict=True) if found else [()] * len(DayRow._fields)
    return [[None if day is None else day.toordinal() for day in days], *sums]


def _days(told: Any) -> list[Values]:  # noqa: ANN401
    days, *sums = told
    if len(told) != len(DayRow._fields) or not set[type]().union(*(map(type, column) for column in sums)) <= {int}:
        raise TypeError
    return list(zip([None if day is None else date.fromordinal(day) for day in days], *sums, strict=True))


def _totals(told: Any) -> Totals:  # noqa: ANN401
    return Totals(*map(_number, told))


def _media_types(told: Any) -> list[MediaTypeRow]:  # noqa: ANN401
    return [MediaTypeRow(str(media_type), *map(_number, sums)) for media_type, *sums in told]


def _user_sums(told: Any) -> list[UserSumRow]:  # noqa: ANN401
    return [UserSumRow(_id(user_id), *map(_number, sums)) for user_id, *sums in told]


def _page(told: Any) -> Page[UUID]:  # noqa: ANN401
    ids, has_next, has_previous = told
    return Page([_id(each) for each in ids], bool(has_next), bool(has_previous))


def _id(told: Any) -> UUID:  # noqa: ANN401
    return UUID(str(told))
