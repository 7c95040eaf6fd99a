import asyncio
import gc
from typing import Any

import pytest
from sqlalchemy import func, select, text

from db.engine import Database
from tests.machine import PATIENCE_SECONDS

OTHERS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")


async def read(database: Database) -> None:
    async with database.reading() as rows:
        await rows.scalar(select(func.now()))


async def test_who_leaves_while_connections_are_opened_leaves_nothing_behind(postgres_url: str) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    for milliseconds in range(20):
        database = Database(postgres_url)
        readers = [asyncio.create_task(read(database)) for _ in range(5)]
        await asyncio.sleep(milliseconds / 1000)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        await database.close()
    watching = Database(postgres_url)

    async with watching.reading() as rows, asyncio.timeout(PATIENCE_SECONDS):
        while await rows.scalar(OTHERS):  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.02)
    await watching.close()
    gc.collect()
    assert complaints == []


async def test_who_leaves_does_not_wait_for_a_server_that_never_answers() -> None:
    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()
        writer.close()

    asked, over = asyncio.Event(), asyncio.Event()
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database = Database(f"postgresql+asyncpg://nobody@127.0.0.1:{port}/nothing")
        reader = asyncio.create_task(read(database))
        await asked.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(reader), 0.1)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        assert not over.is_set()
        over.set()
        await database.close()
