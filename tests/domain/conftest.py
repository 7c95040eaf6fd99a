"""A database of the test's own, opened, and everyone who may ask."""

from collections.abc import AsyncIterator

import pytest

from db.engine import Database
from tests.scenes import Scene, make_scene


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def scene(db: Database) -> Scene:
    return await make_scene(db)
