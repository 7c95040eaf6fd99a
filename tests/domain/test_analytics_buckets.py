"""What buckets cost: as much as are asked for, and as types and people are, however much happened in them."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from functools import partial
from uuid import UUID

import pytest

from db import analytics_deltas
from db.analytics import Extent, Period
from db.analytics_deltas import DeltaRow
from db.engine import Database, Rows
from db.questions import UserMeasure
from domain import analytics
from domain.analytics import Question
from domain.analytics_folding import fold
from tests.costs import work_of

PLACE = UUID(int=1)
PEOPLE = [UUID(int=number) for number in range(10, 17)]
TYPES = ("text/plain", "image/png", "application/pdf")
BEGIN, DAYS = date(2026, 10, 1), 40
MUCH = 12
Ask = Callable[[Rows, Question], Awaitable[object]]


def top(by: UserMeasure) -> Ask:
    return lambda rows, question: analytics.top_users(rows, question, by, 3)


QUESTIONS: dict[str, tuple[Ask, float]] = {
    "days": (analytics.series, 1.1),
    "media types": (lambda rows, question: analytics.media_types(rows, question, 10), 1.1),
    # How many searches it takes to find them depends on the numbers, but hardly.
    **{f"top users by {by}": (top(by), 3) for by in UserMeasure},
}
"""What is asked, and how many times as much it may cost when thirteen times as much has happened."""


async def live(db: Database, times: int) -> None:
    """Everybody does the same every day, so often, and all of it is folded."""
    deltas = [
        DeltaRow(BEGIN + timedelta(day), PLACE, user_id, name, 1, 9, 1, 9, 1, 9)
        for day in range(DAYS)
        for user_id in PEOPLE
        for name in TYPES
        for _ in range(times)
    ]
    async with db.transaction() as tx:
        await analytics_deltas.append(tx, deltas)
    await fold(db)


def asked(extent: Extent, days: int) -> Question:
    end = BEGIN + timedelta(DAYS - 1)
    return Question(extent, Period(end - timedelta(days - 1), end))


async def costs_of(db: Database, question: Question) -> dict[str, int]:
    return {name: await work_of(db, partial(call, ask, question)) for name, (ask, _) in QUESTIONS.items()}


async def call(ask: Ask, question: Question, rows: Rows) -> object:
    return await ask(rows, question)


@pytest.mark.parametrize("extent", [Extent(None), Extent((PLACE,))], ids=["whole service", "workspace"])
async def test_answers_cost_the_same_however_much_happened(db: Database, extent: Extent) -> None:
    await live(db, 1)
    before = await costs_of(db, asked(extent, 30))
    await live(db, MUCH)
    after = await costs_of(db, asked(extent, 30))
    assert all(before.values())
    assert {name for name, (_, times) in QUESTIONS.items() if after[name] > times * before[name]} == set()


@pytest.mark.parametrize("extent", [Extent(None), Extent((PLACE,))], ids=["whole service", "workspace"])
async def test_what_is_asked_by_day_costs_as_much_as_the_days(db: Database, extent: Extent) -> None:
    await live(db, 1)
    few, more, many = [await work_of(db, partial(call, analytics.series, asked(extent, days))) for days in (10, 20, 40)]
    assert few <= more <= many <= 4.4 * few
