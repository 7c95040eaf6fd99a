"""What is counted: exact at any moment, whatever happened and whoever folds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Executable, Row, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db import analytics_users
from db.analytics import Extent, Period
from db.engine import Rows
from db.models import HeldUser
from db.questions import UserMeasure, Window
from domain import analytics
from domain.analytics import Asked, Question
from domain.analytics_buckets import Interval
from domain.analytics_folding import fold
from domain.backends import Backends
from domain.errors import InvalidInput, NotSignedIn, ScopeMissing
from domain.scopes import Scope
from domain.viewer import NOBODY, Viewer
from tests.domain.histories import STEPS, History
from tests.domain.recounting import Recount, is_held_so
from tests.scenes import Scene

TODAY = date(2026, 11, 22)
PLACES = {UserMeasure.FILES: 1, UserMeasure.BYTES: 2, UserMeasure.DOWNLOADS: 3}


async def compare(scene: Scene, recount: Recount, question: Question) -> None:
    """Ask everything that can be asked, and recount it."""
    await compare_days(scene, recount, question)
    async with scene.db.reading() as rows:
        media_types = await analytics.media_types(rows, question, 100)
        top = {by: await analytics.top_users(rows, question, by, 100) for by in UserMeasure}
        first = {by: await analytics.top_users(rows, question, by, 2) for by in UserMeasure}
        since = question.period.until - timedelta(days=4)
        inactive = await analytics.inactive_page(rows, question, since, Window(100))
        number = await analytics.count_inactive(rows, question, since)
        gone_through = await analytics_users.inactive_page(rows, question.extent, since, Window(100), few=0)
    assert media_types == recount.media_types(question)
    for by, place in PLACES.items():
        assert top[by] == recount.top_users(question, place)
        assert first[by] == top[by][:2]
    expected = recount.inactive(question, since)
    assert [row.id for row in inactive.items] == expected[:100]  # the examples of a run share their people
    assert gone_through == inactive
    assert number == len(expected)


async def compare_days(scene: Scene, recount: Recount, question: Question) -> None:
    """What is asked by day, and its sums."""
    async with scene.db.reading() as rows:
        days = await analytics.series(rows, question)
        months = await analytics.series(rows, question, Interval.MONTH)
        assert months.buckets(Interval.MONTH) == days.buckets(Interval.MONTH)
        assert (months.within, months.at_end) == (days.within, days.at_end)
        assert await analytics.totals(rows, question, days) == recount.totals(question)
    for interval in Interval:
        buckets = [
            (
                bucket.start,
                bucket.changes.uploads,
                bucket.changes.uploaded,
                bucket.changes.downloads,
                bucket.changes.downloaded,
                bucket.held_files,
                bucket.held_bytes,
            )
            for bucket in days.buckets(interval)
        ]
        assert buckets == recount.buckets(question, interval)


async def live_through(history: History, steps: Sequence[tuple[str, int]]) -> None:
    for step, number in steps:
        await history.do(step, number)
    recount = await Recount.of(history.scene.db)
    assert await is_held_so(history.scene.db, recount)
    for question in history.questions():
        await compare(history.scene, recount, question)


LIVES = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 999)), min_size=5, max_size=30)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIVES)
async def test_after_whatever_happened_every_answer_is_what_the_raw_rows_say(
    scene: Scene, backends: Backends, steps: list[tuple[str, int]]
) -> None:
    await live_through(History(scene, backends), steps)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LIVES)
async def test_after_many_histories_every_answer_is_what_the_raw_rows_say(
    scene: Scene, backends: Backends, steps: list[tuple[str, int]]
) -> None:
    await live_through(History(scene, backends), steps)


EVENTFUL = Random(7)
LIFE = [(EVENTFUL.choice(STEPS[:-2]), EVENTFUL.randrange(1000)) for _ in range(60)]
"""A long history in which everything happens and nothing is folded."""


async def test_answers_stay_right_while_several_fold(scene: Scene, backends: Backends) -> None:
    history = History(scene, backends)
    await live_through(history, LIFE)
    recount = await Recount.of(scene.db)
    folding = asyncio.gather(fold(scene.db, 1), fold(scene.db, 2))
    while not folding.done():
        for question in history.questions():
            await compare(scene, recount, question)
    await folding
    for question in history.questions():
        await compare(scene, recount, question)


async def test_what_happens_while_others_fold_is_counted(scene: Scene, backends: Backends) -> None:
    history, goes_on = History(scene, backends), True

    async def folded() -> None:
        while goes_on:
            await fold(scene.db, 2)
            await asyncio.sleep(0)

    folding = asyncio.gather(folded(), folded())
    await live_through(history, LIFE)
    goes_on = False
    await folding
    recount = await Recount.of(scene.db)
    for question in history.questions():
        await compare(scene, recount, question)


async def test_administrators_ask_for_everything_and_members_for_their_workspaces(scene: Scene) -> None:
    async with scene.db.reading() as rows:

        async def extents(name: str) -> list[object]:
            own = scene.people[name].workspace_id
            places = (None, scene.workspace_id, own, scene.people["stranger"].workspace_id)
            judged = [
                await analytics.judge(rows, scene.viewer(name), Asked(workspace_id=place), TODAY) for place in places
            ]
            return [question and question.extent.workspace_ids for question in judged]

        team, strange = scene.workspace_id, scene.people["stranger"].workspace_id
        boss, viewer = scene.people["administrator"].workspace_id, scene.people["viewer"].workspace_id
        everything = await analytics.judge(rows, scene.viewer("administrator"), Asked(), TODAY)
        assert everything is not None
        assert everything.extent == Extent(None)
        assert (await extents("administrator"))[1:] == [(team,), (boss,), (strange,)]
        told = await extents("viewer")
        assert told[1:] == [(team,), (viewer,), None]
        assert {*told[0]} == {team, viewer}  # type: ignore[misc]
        assert await extents("stranger") == [(strange,), None, (strange,), (strange,)]
        for nothing in (UUID(int=0), uuid7()):
            for name in ("administrator", "viewer"):
                assert await analytics.judge(rows, scene.viewer(name), Asked(workspace_id=nothing), TODAY) is None
        with pytest.raises(NotSignedIn):
            await analytics.judge(rows, NOBODY, Asked(), TODAY)
        key = Viewer(scene.id("viewer"), scopes=frozenset({Scope.ACCOUNT_READ}))
        with pytest.raises(ScopeMissing):
            await analytics.judge(rows, key, Asked(), TODAY)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_period_has_an_end_a_beginning_and_a_limit_that_names_itself(scene: Scene) -> None:
    async with scene.db.reading() as rows:

        async def period(since: date | None = None, until: date | None = None) -> Period:
            question = await analytics.judge(rows, scene.viewer("viewer"), Asked(since, until), TODAY)
            assert question is not None
            return question.period

        assert await period() == Period(date(2026, 10, 24), TODAY)
        assert await period(until=date(1970, 1, 3)) == Period(date(1970, 1, 1), date(1970, 1, 3))
        longest = TODAY - timedelta(days=3659)
        assert await period(longest) == Period(longest, TODAY)
        for since, until, message in (
            (longest - timedelta(days=1), None, "at most 3660 days, not 3661"),
            (TODAY, TODAY - timedelta(days=1), "ends after it begins"),
            (date.min, date.min, "from 1970-01-01 to 2999-12-31"),
            (None, date.max, "from 1970-01-01 to 2999-12-31"),
            (date(1969, 12, 31), TODAY, "from 1970-01-01 to 2999-12-31"),
        ):
            with pytest.raises(InvalidInput, match=message):
                await period(since, until)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("first", [0, 101])
async def test_lists_have_a_length_that_names_its_limit(scene: Scene, first: int) -> None:
    question = Question(Extent(None), Period(TODAY, TODAY))
    async with scene.db.reading() as rows:
        with pytest.raises(InvalidInput, match="1 to 100"):
            await analytics.media_types(rows, question, first)
        with pytest.raises(InvalidInput, match="1 to 100"):
            await analytics.top_users(rows, question, UserMeasure.FILES, first)
        with pytest.raises(InvalidInput, match="from 1970-01-01"):
            await analytics.inactive_page(rows, question, date.max, Window(1))


@pytest.mark.parametrize("few", [0, 1000])
async def test_who_did_something_on_the_day_itself_or_later_is_not_inactive(scene: Scene, few: int) -> None:
    since = TODAY + timedelta(days=400)
    last = {"owner": since - timedelta(days=1), "editor": since, "viewer": since + timedelta(days=1)}
    async with scene.db.transaction() as tx:
        for name, day in last.items():
            own = update(HeldUser).where(col(HeldUser.user_id) == scene.id(name))
            await tx.execute(own.values(active_on=day))
    async with scene.db.reading() as rows:
        page = await analytics_users.inactive_page(rows, Extent(None), since, Window(100), few=few)
    found = {row.id for row in page.items}
    assert [scene.id(name) in found for name in last] == [True, False, False]


class Meanwhile(Rows):
    """Where somebody does something between the first select and the second."""

    def __init__(self, rows: Rows, act: Callable[[], Awaitable[object]]) -> None:
        super().__init__(rows._connection)
        self.acts = [act]

    async def all(self, statement: Executable, parameters: dict[str, Any] | None = None) -> Sequence[Row[Any]]:
        found = await super().all(statement, parameters)
        if self.acts:
            await self.acts.pop()()
        return found


async def test_who_does_something_while_sleepers_are_looked_for_is_none(scene: Scene) -> None:
    since = TODAY + timedelta(days=400)

    async def act() -> None:
        async with scene.db.transaction() as tx:
            own = update(HeldUser).where(col(HeldUser.user_id) == scene.id("owner"))
            await tx.execute(own.values(active_on=since))

    async with scene.db.reading() as rows:
        page = await analytics_users.inactive_page(Meanwhile(rows, act), Extent(None), since, Window(100))
    found = {row.id for row in page.items}
    assert scene.id("owner") not in found
    assert scene.id("editor") in found
