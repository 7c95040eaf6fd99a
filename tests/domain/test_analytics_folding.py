"""Folding, cut off anywhere."""

import asyncio
import subprocess
import sys
from datetime import date

import pytest
from sqlalchemy import func, select
from uuid_utils.compat import uuid7

from db import analytics_deltas
from db.analytics import DayRow, Extent, Period
from db.analytics_deltas import DeltaRow
from db.engine import Database
from db.models import DailyTotal, Delta
from domain import analytics
from domain.analytics import Question
from domain.analytics_folding import fold
from tests.machine import wait_for

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
            [DeltaRow(DAY, user_ids[0], user_ids[each % 7], "text/plain", 1, each, 1, each) for each in range(number)],
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


@pytest.mark.slow
async def test_who_is_killed_while_folding_leaves_everything_counted_once(db: Database, database_url: str) -> None:
    await append(db, NUMBER)
    async with db.reading() as rows:
        before = await analytics.series(rows, QUESTION)
    left = NUMBER
    while left > PIECE:
        with subprocess.Popen([sys.executable, "-c", FOLDING, database_url]) as folding:  # noqa: ASYNC220 - it runs beside

            def has_gone_on(then: int = left) -> bool:
                return asyncio.run(counted(database_url)) < then - PIECE + 100

            assert await asyncio.to_thread(wait_for, has_gone_on, 60)
            folding.kill()
        left = await waiting(db)
        async with db.reading() as rows:
            assert await analytics.series(rows, QUESTION) == before
    await fold(db)
    async with db.reading() as rows:
        assert await analytics.series(rows, QUESTION) == before
    assert await waiting(db) == 0


async def counted(database_url: str) -> int:
    db = Database(database_url)
    number = await waiting(db)
    await db.close()
    return number
