"""What is counted, for those who may know it: administrators everything, members what is in their workspaces.

Every answer is a rollup with what is not folded yet, and so exact at the moment that it is asked. What is held is what
was there at the end of the period; what happened is what happened in it. Days are those of UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from db import analytics, analytics_users, workspaces
from db.analytics import Extent, MediaTypeRow, Period, Values
from db.analytics_leaders import Comparison
from db.analytics_users import UserSumRow
from db.engine import Rows
from db.questions import Page, UserMeasure, Window
from db.rows import UserRow
from domain.analytics_buckets import Interval, Series
from domain.analytics_leaders import leaders
from domain.errors import InvalidInput
from domain.scopes import Scope
from domain.viewer import Viewer

DEFAULT_DAYS = 30
MAXIMUM_DAYS = 3660
MAXIMUM_LISTED = 100
EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Asked:
    """Which days, the first and the last included, and which workspace; None is as many as the viewer may know of."""

    since: date | None = None
    until: date | None = None
    workspace_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What the viewer may know: where, and of which days."""

    extent: Extent
    period: Period


class Totals(NamedTuple):
    """What there is at the end of the period, and how many uploads and downloads there were in it."""

    users: int
    files: int
    bytes: int
    uploads: int
    downloads: int


async def judge(rows: Rows, viewer: Viewer, asked: Asked, today: date) -> Question | None:
    """What the viewer may know of what is asked; None where the workspace is not there, or not the viewer's to see.

    Raises NotSignedIn, ScopeMissing and InvalidInput.
    """
    user_id = viewer.required(Scope.ANALYTICS_READ)
    period = period_of(asked, today)
    extent = await _extent(rows, viewer.is_admin, user_id, asked.workspace_id)
    return None if extent is None else Question(extent, period)


def period_of(asked: Asked, today: date) -> Period:
    """The days that are asked for: up to today, and thirty of them, where nothing is said. Raises InvalidInput."""
    until = asked.until or today
    _judge_day(until, "until")
    since = asked.since or max(until - timedelta(days=DEFAULT_DAYS - 1), EARLIEST)
    _judge_day(since, "since")
    days = (until - since).days + 1
    if days < 1:
        raise InvalidInput(message="A period ends after it begins.", path=("until",))
    if days > MAXIMUM_DAYS:
        raise InvalidInput(message=f"A period has at most {MAXIMUM_DAYS} days, not {days}.", path=("since",))
    return Period(since, until)


async def series(rows: Rows, question: Question, interval: Interval = Interval.DAY) -> Series:
    """Everything by day, or by month where that will do, in one statement."""
    return Series.of(question.period, await rows_of_series(rows, question, interval))


async def rows_of_series(rows: Rows, question: Question, interval: Interval) -> Sequence[Values]:
    """The DayRows that a series is made of."""
    find = analytics.months if interval is Interval.MONTH else analytics.days
    return await find(rows, question.extent, question.period)


async def totals(rows: Rows, question: Question, days: Series) -> Totals:
    """Sums of the days. In workspaces the users are who is a member now."""
    ids = question.extent.workspace_ids
    users = days.at_end.users if ids is None else await analytics.members_in(rows, ids)
    return Totals(users, days.at_end.files, days.at_end.bytes, days.within.uploads, days.within.downloads)


async def media_types(rows: Rows, question: Question, first: int) -> Sequence[MediaTypeRow]:
    """The media types of which most is held, in bytes, the most first. Raises InvalidInput."""
    _judge_length(first)
    return await analytics.media_types(rows, question.extent, question.period, first)


async def top_users(rows: Rows, question: Question, by: UserMeasure, first: int) -> list[UserSumRow]:
    """The users with most of something, the most first. Raises InvalidInput."""
    _judge_length(first)
    found = await leaders(rows, Comparison(question.extent, question.period, by, first))
    sums = await analytics_users.sums_of(rows, question.extent, question.period, found) if found else []
    # In the order of what is told of them, since that is as of a moment later.
    return sorted(sums, key=lambda row: (getattr(row, by), row.user_id), reverse=True)


async def inactive_page(rows: Rows, question: Question, since: date, window: Window) -> Page[UserRow]:
    """A window of who has neither signed in nor uploaded nor downloaded since the beginning of a day.

    Of members, what they did in these workspaces. Raises InvalidInput.
    """
    _judge_day(since, "since")
    return await analytics_users.inactive_page(rows, question.extent, since, window)


async def count_inactive(rows: Rows, question: Question, since: date) -> int:
    """How many `inactive_page` has on all pages."""
    return await analytics_users.count_inactive(rows, question.extent, since)


async def _extent(rows: Rows, is_admin: bool, user_id: UUID, workspace_id: UUID | None) -> Extent | None:  # noqa: FBT001
    if workspace_id is None:
        return Extent(None if is_admin else tuple(await workspaces.ids_of(rows, user_id)))
    # Never taken as it comes: the id that names nothing is that of the whole service.
    find = workspaces.existing if is_admin else workspaces.by_ids
    return Extent((workspace_id,)) if await find(rows, user_id, [workspace_id]) else None


def _judge_day(day: date, argument: str) -> None:
    if not EARLIEST <= day <= LATEST:
        raise InvalidInput(message=f"Days are counted from {EARLIEST} to {LATEST}.", path=(argument,))


def _judge_length(first: int) -> None:
    if not 1 <= first <= MAXIMUM_LISTED:
        raise InvalidInput(message=f"Ask for 1 to {MAXIMUM_LISTED}, not for {first}.", path=("first",))
