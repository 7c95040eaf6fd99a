"""What is looked at when somebody scrapes: kept for some seconds, and left out where it cannot be had."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import samples
from api.samples import Samples
from api.streams import Streams
from db.cache import Cache
from db.engine import Database
from db.redis import RedisLink
from storage.disk import DiskStore
from tests.machine import free_port
from tests.records import MovableClock


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path / "blobs", floor_bytes=0, lease_seconds=60)
    await opened.open()
    yield opened
    await opened.close()


def samples_of(db: Database, store: DiskStore, redis: RedisLink | None = None) -> Samples:
    return Samples(db, store, redis, Cache(redis), Streams(5), MovableClock())


async def test_numbers_are_kept_for_some_seconds(db: Database, store: DiskStore) -> None:
    own = samples_of(db, store)
    first = await own.take()
    assert first.figures is not None
    assert first.disk is not None
    assert (await own.take()).as_of == first.as_of


async def test_connections_in_use_are_told_as_of_now(db: Database, store: DiskStore) -> None:
    own, pool = samples_of(db, store), "reading" if db.is_embedded else "all"
    await own.take()
    assert (await own.take()).pools[pool].in_use == 0
    async with db.reading():
        assert (await own.take()).pools[pool].in_use == 1
        limits = {name: each.limit for name, each in db.pools().items()}
        assert limits == ({"reading": 10, "writing": 1} if db.is_embedded else {"all": 10})


async def test_a_database_that_is_away_leaves_out_what_it_would_say(store: DiskStore) -> None:
    away = Database(f"postgresql+asyncpg://cairn@127.0.0.1:{free_port()}/cairn")
    sample = await samples_of(away, store).take()
    assert (sample.figures, sample.as_of) == (None, None)
    assert sample.disk is not None
    await away.close()


async def test_a_database_that_hangs_holds_nobody_up_and_is_asked_once(
    db: Database, store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = 0

    async def hang(*_: object) -> None:
        nonlocal times
        times += 1
        await asyncio.Event().wait()

    monkeypatch.setattr(samples, "DEADLINE_SECONDS", 0.05)
    monkeypatch.setattr(samples, "figures_of", hang)
    own = samples_of(db, store)
    for _ in range(3):
        assert (await own.take()).figures is None
    assert times == 1
    await own.cache.close()


async def test_a_redis_that_is_away_is_told(db: Database, store: DiskStore) -> None:
    link = RedisLink(f"redis://127.0.0.1:{free_port()}/0")
    own = samples_of(db, store, link)
    assert (await own.take()).figures is not None
    assert (await own.take()).is_redis_up is False
    await link.close()
