import asyncio
import signal
import time
from collections.abc import AsyncIterator

import pytest

from db.redis import RedisLink
from tests.machine import free_port
from tests.servers import START_SECONDS, OwnRedis

TIMEOUT_SECONDS = 1
"""More than the service's own: an answer that a busy machine holds back for so long is none."""


@pytest.fixture
async def link(own_redis: OwnRedis) -> AsyncIterator[RedisLink]:
    own = RedisLink(own_redis.url, timeout_seconds=TIMEOUT_SECONDS, retry_seconds=0.05)
    yield own
    await own.close()


async def increment(link: RedisLink) -> int | None:
    return await link.call(lambda client: client.incr("count"), default=None)


async def seconds_of_a_call(link: RedisLink) -> float:
    started_at = time.perf_counter()
    assert await increment(link) is None
    return time.perf_counter() - started_at


async def is_asked(link: RedisLink) -> bool:
    asked = False

    async def command(_client: object) -> None:
        nonlocal asked
        asked = True

    await link.call(command, default=None)
    return asked


async def returns(link: RedisLink) -> bool:
    for _ in range(START_SECONDS * 50):
        if await link.ping():
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_call_gives_what_redis_answers(link: RedisLink) -> None:
    assert await link.ping()
    assert [await increment(link), await increment(link)] == [1, 2]
    assert await link.call(lambda client: client.get("count"), default=None) == b"2"


async def test_a_dead_redis_gives_defaults_and_comes_back(own_redis: OwnRedis, link: RedisLink) -> None:
    assert await increment(link) == 1
    own_redis.kill()
    assert await is_asked(link)
    assert await increment(link) is None
    assert not await is_asked(link)
    assert not await link.ping()
    assert not link.is_up
    own_redis.start()
    assert await returns(link)
    assert await increment(link) == 1


async def test_a_hanging_redis_is_waited_for_once(own_redis: OwnRedis, link: RedisLink) -> None:
    assert await increment(link) == 1
    own_redis.signal(signal.SIGSTOP)
    try:
        times = [await seconds_of_a_call(link)]
        for _ in range(20):
            await asyncio.sleep(0.02)
            times.append(await seconds_of_a_call(link))
    finally:
        own_redis.signal(signal.SIGCONT)
    assert times[0] > TIMEOUT_SECONDS * 0.9
    assert sorted(times[1:])[10] < TIMEOUT_SECONDS / 2
    assert await returns(link)
    # The first of the given up increments reached the server all the same; its late answer is nobody's.
    assert await increment(link) == 3


async def test_many_calls_into_a_hanging_redis_wait_together(own_redis: OwnRedis, link: RedisLink) -> None:
    assert await link.ping()
    own_redis.signal(signal.SIGSTOP)
    try:
        started_at = time.perf_counter()
        answers = await asyncio.gather(*(increment(link) for _ in range(200)))
        elapsed = time.perf_counter() - started_at
    finally:
        own_redis.signal(signal.SIGCONT)
    assert answers == [None] * 200
    assert elapsed < 20 * TIMEOUT_SECONDS  # one after the other they would take two hundred
    assert await returns(link)


async def test_a_redis_that_was_never_there_costs_nothing_but_its_answers() -> None:
    link = RedisLink(f"redis://127.0.0.1:{free_port()}/0", retry_seconds=0.05)
    assert not await link.ping()
    assert not await is_asked(link)
    await link.close()


async def test_an_unknown_host_is_a_redis_that_is_down() -> None:
    link = RedisLink("redis://nowhere.invalid:6379/0")
    assert await increment(link) is None
    assert not link.is_up
    await link.close()


async def test_a_refused_command_gives_the_default_and_leaves_the_link_up(link: RedisLink) -> None:
    assert await link.call(lambda client: client.set("text", "x"), default=None)
    assert await link.call(lambda client: client.incr("text"), default=-1) == -1
    assert link.is_up


async def test_more_calls_than_connections_take_turns(own_redis: OwnRedis) -> None:
    link = RedisLink(own_redis.url, timeout_seconds=5)
    answers = await asyncio.gather(*(increment(link) for _ in range(500)))
    assert sorted(answer or 0 for answer in answers) == list(range(1, 501))
    await link.close()


async def test_a_slow_command_is_no_outage_while_others_are_answered(own_redis: OwnRedis) -> None:
    link = RedisLink(own_redis.url, timeout_seconds=TIMEOUT_SECONDS)
    slow = asyncio.create_task(link.call(lambda _: asyncio.sleep(60, result="late"), default="default"))
    while not slow.done():
        assert await link.ping()
        await asyncio.sleep(0.02)
    assert await slow == "default"
    assert link.is_up
    await link.close()


async def test_a_fault_of_the_caller_stays_a_fault(link: RedisLink) -> None:
    async def broken(_client: object) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await link.call(broken, default=None)
    assert link.is_up


async def test_what_is_logged_names_no_address(caplog: pytest.LogCaptureFixture) -> None:
    link = RedisLink("redis://:hunter2@127.0.0.1:1/0")
    assert not await link.ping()
    await link.close()
    assert "Redis is out of order" in caplog.text
    assert "hunter2" not in caplog.text
    assert "127.0.0.1" not in caplog.text
