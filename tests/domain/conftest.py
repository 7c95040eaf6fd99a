"""A database of the test's own, opened, and everyone who may ask."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.engine import Database
from domain.backends import Backends
from tests.domain.receiving import Faulty
from tests.scenes import Scene, make_scene


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def scene(db: Database) -> Scene:
    return await make_scene(db)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Faulty]:
    opened = Faulty(tmp_path / "data", floor_bytes=0, lease_seconds=60)
    await opened.open()
    yield opened
    opened.failing = ""
    await opened.close()


@pytest.fixture
def backends(scene: Scene, store: Faulty) -> Backends:
    return Backends(scene.db, store, scene.ports)
