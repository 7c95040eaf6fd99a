"""Folding beside requests, again and again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest

from api.app import create_app
from api.folding import fold_until
from api.settings import Settings
from db import analytics_deltas
from db.analytics_deltas import DeltaRow
from db.engine import Database
from tests.lifespan import running

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def append(db: Database) -> None:
    async with db.transaction() as tx:
        await analytics_deltas.append(tx, [DeltaRow(date(2026, 11, 22), bytes=5)])


async def until_folded(db: Database) -> None:
    async with asyncio.timeout(60):
        while True:
            async with db.reading() as rows:
                if not await analytics_deltas.is_any(rows):
                    return
            await asyncio.sleep(0.01)


@ON_SQLITE
async def test_what_is_appended_is_folded_until_it_is_told_to_stop(db: Database) -> None:
    stopping = asyncio.Event()
    folding = asyncio.create_task(fold_until(stopping, db, 0.01))
    for _ in range(2):
        await append(db)
        await until_folded(db)
    stopping.set()
    await folding


@ON_SQLITE
async def test_the_service_folds_where_it_does_jobs(settings: Settings, db: Database) -> None:
    await append(db)
    async with running(create_app(settings.model_copy(update={"worker": True}))):
        await until_folded(db)


async def test_what_fails_is_logged_and_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stopping, away = asyncio.Event(), Database(f"sqlite+aiosqlite:///{tmp_path}/no folder/cairn.db")
    folding = asyncio.create_task(fold_until(stopping, away, 0.01))
    told = ""
    async with asyncio.timeout(60):
        while told.count("deltas could not be folded") < 2:
            await asyncio.sleep(0.01)
            told += capsys.readouterr().out
    stopping.set()
    await folding
    await away.close()
