"""What is kept is told as it was computed, or computed again."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from db.analytics import Extent, Period
from db.cache import Cache
from db.questions import UserMeasure, Window
from db.redis import RedisLink
from domain.analytics import Question
from domain.analytics_answers import Answers, Statistics
from domain.analytics_buckets import Interval
from domain.analytics_deltas import count_changes
from domain.ledger import Change
from tests.scenes import Scene
from tests.servers import OwnRedis

NOW = datetime(2026, 11, 22, tzinfo=UTC)
QUESTION = Question(Extent(None), Period(date(2026, 1, 1), NOW.date()))
WRONG: list[Any] = [
    "words",
    None,
    {"files": 1},
    [5],
    [[]],
    [["x", "y", "z"]],
    [[None, "5"]],
    [["00", 1, 2, 3]],
    [[None, 1, 2, 3, 4, 5, 6, "7"]],
]


async def everything(answers: Answers) -> list[Any]:
    days = await answers.series()
    return [
        days,
        await answers.series(Interval.MONTH),
        await answers.totals(days),
        await answers.media_types(10),
        await answers.top_users(UserMeasure.BYTES, 10),
        await answers.inactive_page(date(2999, 1, 1), Window(10)),
        await answers.count_inactive(date(2999, 1, 1)),
    ]


@pytest.fixture
async def link(own_redis: OwnRedis) -> AsyncIterator[RedisLink]:
    link = RedisLink(own_redis.url, timeout_seconds=10)
    yield link
    await link.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_others_put_into_redis_is_not_told(scene: Scene, link: RedisLink, own_redis: OwnRedis) -> None:
    change = Change(scene.workspace_id, scene.id("owner"), used=5, files=1, media_type="text/plain", uploads=1)
    async with scene.db.transaction() as tx:
        await count_changes(tx, [change], NOW)

    async def told() -> list[Any]:
        """As a process tells that has nothing of its own."""
        answers = await Answers.begin(scene.db, Statistics(Cache(link), 3600), QUESTION, NOW)
        return await everything(answers)

    first = await told()
    assert await told() == first
    for wrong in WRONG:
        async with Redis.from_url(own_redis.url) as redis:
            keys = [key async for key in redis.scan_iter("cairn:answer:*")]
            assert len(keys) == 8
            for key in keys:
                as_of, _ = json.loads(await redis.get(key) or "")
                await redis.set(key, json.dumps([as_of, wrong]))
        assert await told() == first
