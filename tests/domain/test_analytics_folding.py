"""Folding, cut off anywhere."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from sqlalchemy import func, select
from uuid_utils.compat import uuid7

from db import analytics_deltas
from db.analytics import DayRow, Extent, Period
from db.analytics_deltas import DeltaRow
from db.engine import Database
from db.models import DailyTotal, Delta
from db.questions import UserMeasure
from domain import analytics
from domain.analytics import Question
from domain.analytics_folding import fold
from domain.backends import Backends
from tests.domain.histories import History
from tests.domain.moments import moment_of
from tests.domain.recounting import Recount
from tests.domain.test_analytics import LIVES, compare
from tests.machine import wait_for
from tests.scenes import Scene

Life: TypeAlias = Sequence[tuple[str, int]]
# What goes wrong among several at once is no easier to see in a smaller example, if it goes wrong again at all.
BESIDE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.generate])
DAY = date(2026, 11, 22)
QUESTION = Question(Extent(None), Period(DAY, DAY))
NUMBER = 900
PIECE = 200
FOLDING = """
import asyncio, sys
from db.engine import Database
from domain.analytics_folding import fold
asyncio.run(fold(Database(sys.argv[1]), 3))
"""


async def append(db: Database, number: int) -> None:
    user_ids = [uuid7() for _ in range(7)]
    async with db.transaction() as tx:
        await analytics_deltas.append(
            tx,
            [DeltaRow(DAY, user_ids[0], user_ids[each % 3], "text/plain", 1, each, 1, each) for each in range(number)],
        )


async def waiting(db: Database) -> int:
    async with db.reading() as rows:
        return int(await rows.scalar(select(func.count()).select_from(Delta)))


async def test_nothing_to_fold_takes_no_lock_and_changes_nothing(db: Database) -> None:
    async with db.transaction() as tx:
        # On SQLite whoever wanted to write would wait for this for a minute.
        async with asyncio.timeout(30):
            await fold(db)
        assert await tx.scalar(select(func.count()).select_from(DailyTotal)) == 0


async def test_what_is_folded_is_the_same_in_batches_of_any_size(db: Database) -> None:
    await append(db, 20)
    async with db.reading() as rows:
        before = await analytics.series(rows, QUESTION)
    await fold(db, 7)
    async with db.reading() as rows:
        assert await analytics.series(rows, QUESTION) == before
    assert before.within == DayRow(None, 20, 190, 20, 190, 0, 0, 0)
    assert await waiting(db) == 0


@settings(BESIDE, max_examples=2)
@given(LIVES, LIVES)
async def test_at_every_moment_of_lives_beside_each_other_and_folding_answers_are_what_the_raw_rows_say(
    scene: Scene, backends: Backends, one: Life, other: Life
) -> None:
    await live_beside(scene, backends, [one, other])


@pytest.mark.slow
@settings(BESIDE, max_examples=10)
@given(LIVES, LIVES, LIVES)
async def test_at_every_moment_of_many_lives_answers_are_what_the_raw_rows_say(
    scene: Scene, backends: Backends, one: Life, other: Life, third: Life
) -> None:
    await live_beside(scene, backends, [one, other, third])


async def live_beside(scene: Scene, backends: Backends, lives: Sequence[Life]) -> None:
    """Several live at once, two fold, and somebody asks and recounts, again and again, each time as of one moment."""
    histories = [History(scene, backends) for _ in lives]
    living = asyncio.gather(*map(lived, histories, lives))

    async def folded() -> None:
        while not living.done():
            await fold(scene.db, 2)
            await asyncio.sleep(0)

    folding = asyncio.gather(folded(), folded())
    while not living.done():
        await compare_now(scene, histories)
        await asyncio.sleep(0)
    await asyncio.gather(living, folding)
    await compare_now(scene, histories)


async def lived(history: History, life: Life) -> None:
    for step, number in life:
        await history.do(step, number)


async def compare_now(scene: Scene, histories: Sequence[History]) -> None:
    questions = [question for history in histories if history.places for question in history.questions()]
    async with moment_of(scene.db) as moment:
        recount = await Recount.of(moment)
        for question in questions:
            await compare(replace(scene, db=moment), recount, question)


@pytest.mark.slow
async def test_who_is_killed_while_folding_leaves_everything_counted_once(db: Database, database_url: str) -> None:
    await append(db, NUMBER)
    before = await answers(db)
    left = NUMBER
    while left > PIECE:
        with subprocess.Popen([sys.executable, "-c", FOLDING, database_url]) as folding:  # noqa: ASYNC220 - it runs beside

            def has_gone_on(then: int = left) -> bool:
                return asyncio.run(counted(database_url)) < then - PIECE + 100

            assert await asyncio.to_thread(wait_for, has_gone_on, 60)
            folding.kill()
        left = await waiting(db)
        assert await answers(db) == before
    await fold(db)
    assert await answers(db) == before
    assert await waiting(db) == 0


async def answers(db: Database) -> list[object]:
    async with db.reading() as rows:
        top = [await analytics.top_users(rows, QUESTION, by, 10) for by in (UserMeasure.FILES, UserMeasure.BYTES)]
        return [await analytics.series(rows, QUESTION), await analytics.media_types(rows, QUESTION, 10), *top]


async def counted(database_url: str) -> int:
    db = Database(database_url)
    number = await waiting(db)
    await db.close()
    return number
