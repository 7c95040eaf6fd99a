"""What a dashboard's questions cost in the database, by the history that `bench.history` made, and what folding does.

`python -m bench.analytics URL [--times N]` asks each question so often, one after the other, and prints milliseconds.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from functools import partial
from statistics import median, quantiles
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from bench.history import END, Chance
from db import analytics_deltas, events
from db.analytics import Extent, Period
from db.analytics_deltas import DeltaRow
from db.engine import Database, Rows
from db.models import Delta, Event, HeldUser, Member
from db.questions import EventFilter, UserMeasure, Window
from domain import analytics
from domain.analytics import Question
from domain.analytics_folding import fold

TODAY = END.date()
WAITING = 2000
WINDOW = Window(20)

Ask = Callable[[Rows], Awaitable[object]]


async def totals(rows: Rows, question: Question) -> object:
    """The sums and every day, in one statement where nobody counts members."""
    return await analytics.totals(rows, question, await analytics.series(rows, question))


def questions_of(extent: Extent, viewer_id: UUID) -> dict[str, Ask]:
    """Everything that a dashboard asks, by what it is called."""
    month, years = Question(extent, _days(30)), Question(extent, _days(3 * 365))
    past = Question(extent, Period(TODAY - timedelta(days=60), TODAY - timedelta(days=30)))
    return {
        "totals, and each of 30 days": partial(totals, question=month),
        "totals, and each of 3 years' days": partial(totals, question=years),
        "media types": partial(analytics.media_types, question=month, first=10),
        "top 10 by bytes": _top(month, UserMeasure.BYTES),
        "top 10 by files": _top(month, UserMeasure.FILES),
        "top 10 by downloads of 30 days": _top(month, UserMeasure.DOWNLOADS),
        "media types 30 days ago": partial(analytics.media_types, question=past, first=10),
        "top 10 by bytes 30 days ago": _top(past, UserMeasure.BYTES),
        "25 inactive for 90 days": partial(
            analytics.inactive_page, question=month, since=TODAY - timedelta(days=90), window=Window(25)
        ),
        "20 latest events": partial(_latest, viewer_id=viewer_id),
    }


async def measure(db: Database, questions: dict[str, Ask], times: int) -> dict[str, tuple[float, float]]:
    """The median and the 99th percentile of each question, in milliseconds."""
    figures = {}
    for name, ask in questions.items():
        spent = []
        for _ in range(times):
            async with db.reading() as rows:
                began = time.perf_counter()
                await ask(rows)
                spent.append(1000 * (time.perf_counter() - began))
        figures[name] = median(spent), quantiles(spent, n=100)[98]
    return figures


async def append(db: Database, number: int) -> None:
    """What as many uploads of today write that nobody has folded."""
    chance = Chance(2)
    async with db.reading() as rows:
        people = [tuple(row) for row in await rows.all(select(HeldUser.scope_id, HeldUser.user_id).limit(1000))]
    deltas = [
        DeltaRow(TODAY, *people[each % len(people)], chance.media_type(), 1, size := chance.size(), 1, size)
        for each in range(number)
    ]
    async with db.transaction() as tx:
        await analytics_deltas.append(tx, deltas)


async def run(url: str, times: int) -> None:
    """Measure, and print."""
    db = Database(url)
    async with db.reading() as rows:
        number = await rows.scalar(select(func.count()).select_from(Event))
        largest = (await rows.all(select(Member.workspace_id, Member.user_id).order_by(Member.created_at).limit(1)))[0]
    print(f"{number} events")
    for title, extent in (("whole service", Extent(None)), ("one workspace", Extent((largest.workspace_id,)))):
        _print(title, await measure(db, questions_of(extent, largest.user_id), times))
    await append(db, WAITING)
    title = f"whole service, {WAITING} deltas not folded"
    _print(title, await measure(db, questions_of(Extent(None), largest.user_id), times))
    began = time.perf_counter()
    await fold(db)
    print(f"folded {WAITING / (time.perf_counter() - began):.0f} deltas a second")
    async with db.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(Delta)) == 0
    await db.close()


def _days(number: int) -> Period:
    return Period(_before(number), TODAY)


def _before(number: int) -> date:
    return TODAY - timedelta(days=number - 1)


def _top(question: Question, by: UserMeasure) -> Ask:
    return partial(analytics.top_users, question=question, by=by, first=10)


async def _latest(rows: Rows, viewer_id: UUID) -> Any:
    return await events.page(rows, viewer_id, EventFilter(), WINDOW)


def _print(title: str, figures: dict[str, tuple[float, float]]) -> None:
    print(f"\n| {title} | p50 ms | p99 ms |\n|---|---|---|")
    for name, (middle, worst) in figures.items():
        print(f"| {name} | {middle:.1f} | {worst:.1f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.analytics", description="Measure a dashboard's questions.")
    parser.add_argument("url", help="a database that bench.history filled")
    parser.add_argument("--times", type=int, default=200, help="how often each is asked (default: 200)")
    given = parser.parse_args()
    asyncio.run(run(given.url, given.times))
