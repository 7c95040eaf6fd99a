"""What a dashboard's questions cost in the database, by the history that `bench.history` made, and what folding does.

`python -m bench.analytics URL [--redis URL] [--times N] [--write NAME]` asks each question so often, one after the
other: computed each time, and then as it is kept, in Redis if there is one.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from statistics import median, quantiles
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from bench.effort import MIB
from bench.footprint import Footprint, resident_bytes
from bench.history import END, Chance
from bench.results import machine, write
from db import analytics_deltas
from db.analytics import Extent, Period
from db.analytics_deltas import DeltaRow
from db.cache import Cache
from db.engine import Database
from db.models import Delta, Event, ExportFormat, ExportReport, HeldUser, Member, UserRole
from db.questions import EventFilter, Position, UserMeasure, Window
from db.redis import RedisLink
from domain import events
from domain.analytics import Question
from domain.analytics_answers import Answers, Statistics
from domain.analytics_folding import fold
from domain.analytics_reports import COLUMNS, read_report
from domain.events import EventKind
from domain.report_formats import rows_of
from domain.viewer import Viewer

TODAY = END.date()
WAITING = 2000
WINDOW = Window(20)
KEPT_SECONDS = 3600

Ask = Callable[[Answers], Awaitable[object]]
Act = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Line:
    """One question: the median and the 99th percentile in milliseconds, computed and kept. Events are never kept."""

    name: str
    computed: tuple[float, float]
    kept: tuple[float, float] | None = None

    def __str__(self) -> str:
        """As a line of the table."""
        figures = [f"{figure:.1f}" for figure in self.computed]
        figures += [f"{figure:.2f}" for figure in self.kept] if self.kept else ["", ""]
        return f"| {self.name} | {' | '.join(figures)} |"


async def _totals(answers: Answers) -> object:
    """The sums and every day, in one statement where nobody counts members."""
    return await answers.totals(await answers.series())


def questions_of(extent: Extent) -> dict[str, tuple[Question, Ask]]:
    """Everything that a dashboard asks, by what it is called."""
    month, years = Question(extent, _days(30)), Question(extent, _days(3 * 365))
    past = Question(extent, Period(TODAY - timedelta(days=60), TODAY - timedelta(days=30)))
    quarter = TODAY - timedelta(days=90)
    return {
        "totals, and each of 30 days": (month, _totals),
        "totals, and each of 3 years' days": (years, _totals),
        "media types": (month, lambda answers: answers.media_types(10)),
        "top 10 by bytes": (month, _top(UserMeasure.BYTES)),
        "top 10 by files": (month, _top(UserMeasure.FILES)),
        "top 10 by downloads of 30 days": (month, _top(UserMeasure.DOWNLOADS)),
        "top 10 by downloads of 3 years": (years, _top(UserMeasure.DOWNLOADS)),
        "media types 30 days ago": (past, lambda answers: answers.media_types(10)),
        "top 10 by bytes 30 days ago": (past, _top(UserMeasure.BYTES)),
        "top 10 by bytes a year ago": (Question(extent, Period(_before(400), _before(366))), _top(UserMeasure.BYTES)),
        "25 inactive for 90 days": (month, lambda answers: answers.inactive_page(quarter, Window(25))),
        "25 inactive since yesterday": (month, lambda answers: answers.inactive_page(_before(2), Window(25))),
    }


def lists_of(user_id: UUID, workspace_id: UUID) -> dict[str, tuple[EventFilter, Window]]:
    """The pages of events that are asked for, by what they are called."""
    middle = END - timedelta(days=500)
    rare = (EventKind.EMAIL_CHANGED, EventKind.TWO_FACTOR_ENABLED)
    return {
        "20 latest events": (EventFilter(), WINDOW),
        "20 first events": (EventFilter(), replace(WINDOW, is_backward=True)),
        "20 events after 500 days of others": (EventFilter(), replace(WINDOW, after=Position(middle, UUID(int=0)))),
        "20 events of a user": (EventFilter(actor_id=user_id), WINDOW),
        "20 events of a workspace": (EventFilter(workspace_id=workspace_id), WINDOW),
        "20 events of two kinds": (EventFilter(kinds=(EventKind.FILE_UPLOADED, EventKind.FILE_PURGED)), WINDOW),
        "20 events of two kinds that are not there": (EventFilter(kinds=rare), WINDOW),
        "20 of a user of these kinds": (EventFilter(actor_id=user_id, kinds=rare), WINDOW),
        "20 of a workspace of these kinds": (
            EventFilter(workspace_id=workspace_id, kinds=rare),
            WINDOW,
        ),
        "20 of a user in a workspace": (EventFilter(actor_id=user_id, workspace_id=workspace_id), WINDOW),
        "20 of a user in a workspace, of these kinds": (
            EventFilter(actor_id=user_id, workspace_id=workspace_id, kinds=rare),
            WINDOW,
        ),
        "20 logins of a user before a day": (
            EventFilter(actor_id=user_id, kinds=(EventKind.LOGIN_SUCCEEDED,), created_to=middle),
            WINDOW,
        ),
    }


async def spent(act: Act, times: int) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await act()
        took.append(1000 * (time.perf_counter() - began))
    return median(took), quantiles(took, n=100)[98]


async def measure(db: Database, cache: Cache, extent: Extent, times: int) -> list[Line]:
    """What each question costs, computed and kept."""
    lines = []
    for name, (question, ask) in questions_of(extent).items():
        computed = await spent(_asking(db, Statistics(cache, 0), question, ask), times)
        keeping = _asking(db, Statistics(cache, KEPT_SECONDS), question, ask)
        await keeping()
        lines.append(Line(name, computed, await spent(keeping, times)))
    return lines


async def measure_events(db: Database, user_id: UUID, workspace_id: UUID, times: int) -> list[Line]:
    """What pages of events cost."""
    return [
        Line(name, await spent(_reading(db, user_id, where, window), times))
        for name, (where, window) in lists_of(user_id, workspace_id).items()
    ]


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


async def run(url: str, redis_url: str | None, times: int) -> str:
    """Measure, and give the tables."""
    db, redis = Database(url), RedisLink(redis_url) if redis_url else None
    cache = Cache(redis)
    async with db.reading() as rows:
        number = await rows.scalar(select(func.count()).select_from(Event))
        [place, user] = (
            await rows.all(select(Member.workspace_id, Member.user_id).order_by(Member.created_at).limit(1))
        )[0]
    tables = [f"{number:,} events."]
    for title, extent in (("whole service", Extent(None)), ("one workspace", Extent((place,)))):
        tables.append(_table(title, await measure(db, cache, extent, times)))
    tables.append(_table("lists", await measure_events(db, user, place, times)))
    tables.append(await read_everybody(db))
    await append(db, WAITING)
    lines = await measure(db, Cache(None), Extent(None), times)
    tables.append(_table(f"whole service, {WAITING:,} deltas not folded", lines))
    began = time.perf_counter()
    await fold(db)
    tables.append(f"Folded {WAITING / (time.perf_counter() - began):,.0f} deltas a second.")
    async with db.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(Delta)) == 0
    await db.close()
    if redis:
        await redis.close()
    return "\n\n".join(tables)


async def read_everybody(db: Database) -> str:
    """What the report of all users takes that an export is made of: to read it, and to write it as CSV."""
    told, number = [], 0
    for name, days in (("30 days", 30), ("3 years", 3 * 365)):
        before, began = resident_bytes([os.getpid()]), time.perf_counter()
        with Footprint(os.getpid()) as taken:
            number = await _read_users(db, Question(Extent(None), _days(days)))
        seconds, memory = time.perf_counter() - began, (taken.peak - before) / MIB
        told.append(f"{seconds:.1f} s of {name}, {number / seconds:,.0f} a second, {memory:.0f} MiB of memory")
    sentence = f"A report of all {number:,} users: {'; '.join(told)}."
    print(f"\n{sentence}", flush=True)
    return sentence


async def _read_users(db: Database, question: Question) -> int:
    number, report = 0, ExportReport.USERS
    async with aclosing(read_report(db, question, report, None)) as batches:
        async for batch in batches:
            rows_of(ExportFormat.CSV, COLUMNS[report], batch)
            number += len(batch)
    return number


def _asking(db: Database, statistics: Statistics, question: Question, ask: Ask) -> Act:
    async def act() -> object:
        return await ask(await Answers.begin(db, statistics, question, datetime.now(UTC)))

    return act


def _reading(db: Database, viewer_id: UUID, where: EventFilter, window: Window) -> Act:
    viewer = Viewer(viewer_id, UserRole.ADMIN)

    async def act() -> Any:
        async with db.reading() as rows:
            return await events.page(rows, viewer, where, window)

    return act


def _top(by: UserMeasure) -> Ask:
    return lambda answers: answers.top_users(by, 10)


def _days(number: int) -> Period:
    return Period(_before(number), TODAY)


def _before(number: int) -> date:
    return TODAY - timedelta(days=number - 1)


def _table(title: str, lines: list[Line]) -> str:
    head = [f"| {title} | p50 ms | p99 ms | kept, p50 ms | kept, p99 ms |", "|---|---:|---:|---:|---:|"]
    table = "\n".join([*head, *map(str, lines)])
    print(f"\n{table}", flush=True)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.analytics", description="Measure a dashboard's questions.")
    parser.add_argument("url", help="a database that bench.history filled")
    parser.add_argument("--redis", help="where answers are kept; in the process by default")
    parser.add_argument("--times", type=int, default=200, help="how often each is asked (default: 200)")
    parser.add_argument("--write", metavar="NAME", help="where in bench/README.md the tables are put")
    given = parser.parse_args()
    told = asyncio.run(run(given.url, given.redis, given.times))
    if given.write:
        write({given.write: f"{machine()} {told}"})
