"""Connections that are kept for questions: the same ones again, few, and none that has failed or was lost."""

import asyncio
import gc
from collections.abc import AsyncIterator, Collection

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db.engine import Database, Rows
from db.kept import KeptConnections

WHICH = text("SELECT pg_backend_pid()")


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(postgres_url, pool_size=3, max_overflow=0, isolation_level="AUTOCOMMIT")
    yield made
    await made.dispose()


@pytest.fixture
async def kept(engine: AsyncEngine) -> AsyncIterator[KeptConnections]:
    made = KeptConnections(engine, 1)
    yield made
    await made.close()


def in_use(engine: AsyncEngine) -> int:
    return int(engine.pool.checkedout())  # type: ignore[attr-defined]


async def asked(kept: KeptConnections) -> int:
    async with kept.connection() as connection:
        return int((await connection.execute(WHICH)).scalar_one())


async def test_a_question_is_asked_on_the_connection_of_the_one_before(
    engine: AsyncEngine, kept: KeptConnections
) -> None:
    assert kept.idle == 0
    first = await asked(kept)
    async with engine.connect() as other:  # that it is the pool's only one would explain it as well
        assert (await other.execute(WHICH)).scalar_one() != first
        assert [await asked(kept) for _ in range(3)] == [first] * 3
    assert kept.idle == 1
    await kept.close()


async def test_no_more_are_kept_than_were_meant_to_be(engine: AsyncEngine, kept: KeptConnections) -> None:
    async with kept.connection(), kept.connection():
        assert kept.idle == 0
    assert in_use(engine) == kept.idle == 1
    await kept.close()
    assert in_use(engine) == kept.idle == 0


async def test_one_that_was_closed_while_a_question_was_asked_is_not_kept(kept: KeptConnections) -> None:
    async with kept.connection():
        await kept.close()
    assert kept.idle == 0


async def test_one_on_which_something_failed_is_given_back(engine: AsyncEngine, kept: KeptConnections) -> None:
    with pytest.raises(ZeroDivisionError):
        async with kept.connection():
            _ = 1 // 0
    assert in_use(engine) == kept.idle == 0


async def test_one_whose_question_is_cancelled_is_given_back(engine: AsyncEngine, kept: KeptConnections) -> None:
    async def ask_long() -> None:
        async with kept.connection() as connection:
            await connection.execute(text("SELECT pg_sleep(60)"))

    task = asyncio.create_task(ask_long())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await asyncio.sleep(0.2)
    assert in_use(engine) == kept.idle == 0
    assert await asked(kept)


async def test_one_that_the_server_has_ended_is_replaced(engine: AsyncEngine, kept: KeptConnections) -> None:
    ended = await asked(kept)
    async with engine.connect() as other:
        await other.execute(text(f"SELECT pg_terminate_backend({ended})"))
    await asyncio.sleep(0.2)
    assert await asked(kept) != ended


async def answers(rows: Rows, questions: Collection[int]) -> dict[int, int]:
    return {question: int(await rows.scalar(text(f"SELECT {question}"))) for question in questions}


async def test_what_is_kept_is_not_in_use(database_url: str) -> None:
    db = Database(database_url)
    assert await db.ask(answers, 1) == 1
    assert {pool.in_use for pool in db.pools().values()} == {0}
    assert await db.ask(answers, 2) == 2
    await db.close()


async def test_the_last_connection_is_nobodys_own(database_url: str) -> None:
    db = Database(database_url, pool_size=1)
    assert await db.ask(answers, 1) == 1
    async with asyncio.timeout(5), db.reading() as rows:
        assert await rows.scalar(text("SELECT 3")) == 3
    await db.close()


async def test_a_question_that_outlasts_the_end_leaves_no_connection_behind(database_url: str) -> None:
    db = Database(database_url)
    is_asked, may_end = asyncio.Event(), asyncio.Event()

    async def answers_late(rows: Rows, questions: Collection[int]) -> dict[int, int]:
        is_asked.set()
        await may_end.wait()
        return await answers(rows, questions)

    asking = asyncio.create_task(db.ask(answers_late, 1))
    await is_asked.wait()
    await db.close()
    may_end.set()
    assert await asking == 1
    gc.collect()  # what is left behind complains of it
