import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy.engine.url import make_url

from db.bus import MAXIMUM_WAITING, PARCEL_BYTES, Bus, News
from db.postgres_carrier import PostgresCarrier
from db.redis import RedisLink
from db.redis_carrier import RedisCarrier
from tests.databases import end_others
from tests.machine import comes_true
from tests.servers import OwnRedis


class Recorder:
    """A carrier that keeps what it is given, and takes it when it is told to."""

    def __init__(self, *, takes: bool = True) -> None:
        self.parcels: list[str] = []
        self.takes = takes
        self.deliver: Callable[[str], None]

    async def send(self, parcel: str) -> bool:
        self.parcels.append(parcel)
        return self.takes

    async def run(self, deliver: Callable[[str], None]) -> None:
        self.deliver = deliver
        await asyncio.Event().wait()

    @property
    def news(self) -> list[list[object]]:
        return [news for parcel in self.parcels for news in json.loads(parcel)[1:]]


class Pair:
    """Two processes of one service, each with a carrier of its own."""

    def __init__(self, *carriers: PostgresCarrier | RedisCarrier) -> None:
        self.buses = [Bus(), Bus()]
        self.heard: list[str] = []
        for bus, carrier in zip(self.buses, carriers, strict=True):
            bus.open([carrier])
        self.buses[1].listen("file", lambda body: self.heard.append(body["id"]))

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()

    async def hears(self, name: str) -> bool:
        """Whether what the first one tells comes to the second, once they are connected."""

        def told() -> bool:
            if name not in self.heard:
                self.buses[0].tell([News("file", {"id": name})])
            return name in self.heard

        return await comes_true(told)


@pytest.fixture
async def by_postgres(postgres_url: str) -> AsyncIterator[Pair]:
    pair = Pair(*(PostgresCarrier(postgres_url, retry_seconds=0.05, check_seconds=0.05) for _ in range(2)))
    yield pair
    await pair.close()


@pytest.fixture
async def by_redis(own_redis: OwnRedis) -> AsyncIterator[Pair]:
    links = [RedisLink(own_redis.url, retry_seconds=0.05) for _ in range(2)]
    pair = Pair(*(RedisCarrier(link, retry_seconds=0.05) for link in links))
    yield pair
    await pair.close()
    for link in links:
        await link.close()


async def test_listeners_of_a_topic_are_told_at_once_until_they_stop() -> None:
    bus, heard = Bus(), list[object]()
    stop_first = bus.listen("file", lambda body: heard.append(("first", body)))
    stop_second = bus.listen("file", lambda body: heard.append(("second", body)))
    bus.tell([News("file", {"id": 1}), News("user", {"id": 2})])
    stop_first()
    bus.tell([News("file", {"id": 3})])
    stop_second()
    bus.tell([News("file", {"id": 4})])
    assert heard == [("first", {"id": 1}), ("second", {"id": 1}), ("second", {"id": 3})]


async def test_a_listener_may_stop_while_it_is_told() -> None:
    bus, heard = Bus(), list[str]()

    def once(_body: object) -> None:
        heard.append("first")
        stop()

    stop = bus.listen("file", once)
    bus.listen("file", lambda _: heard.append("second"))
    bus.tell([News("file", {})])
    bus.tell([News("file", {})])
    assert heard == ["first", "second", "second"]


async def test_news_are_sent_together_in_parcels_that_postgresql_takes() -> None:
    bus, carrier = Bus(), Recorder()
    bus.open([carrier])
    bus.tell([News("file", {"id": "x" * 100, "number": number}) for number in range(200)])
    assert await comes_true(lambda: len(carrier.news) == 200)
    assert [news[1]["number"] for news in carrier.news] == list(range(200))  # type: ignore[index]
    assert all(len(parcel) < PARCEL_BYTES + 100 for parcel in carrier.parcels)
    assert len(carrier.parcels) < 6
    await bus.close()


async def test_a_parcel_goes_by_the_first_carrier_that_takes_it() -> None:
    bus, broken, working, spare = Bus(), Recorder(takes=False), Recorder(), Recorder()
    bus.open([broken, working, spare])
    bus.tell([News("file", {"id": 1})])
    assert await comes_true(lambda: len(working.parcels) == 1)
    await bus.close()
    assert (len(broken.parcels), len(spare.parcels)) == (1, 0)


async def test_the_oldest_news_are_lost_where_a_carrier_is_too_slow() -> None:
    bus, carrier = Bus(), Recorder()
    bus.open([carrier])
    bus.tell([News("file", {"id": number}) for number in range(MAXIMUM_WAITING + 1)])
    assert await comes_true(lambda: len(carrier.news) == MAXIMUM_WAITING)
    assert carrier.news[0] == ["file", {"id": 1}]
    await bus.close()


async def test_what_comes_by_a_carrier_is_told_unless_it_is_the_own_or_cannot_be_read() -> None:
    bus, carrier, heard = Bus(), Recorder(), list[object]()
    bus.open([carrier])
    bus.listen("file", heard.append)
    bus.tell([News("file", {"id": "own"})])
    assert await comes_true(lambda: bool(carrier.parcels))
    for parcel in (
        carrier.parcels[0],
        '["another",["file",{"id":"theirs"}]]',
        "{",
        "[]",
        "5",
        '["another",["file"]]',
        '["another",["file",5]]',
    ):
        carrier.deliver(parcel)
    assert heard == [{"id": "own"}, {"id": "theirs"}]
    await bus.close()


async def test_postgresql_carries_news_to_another_process(by_postgres: Pair) -> None:
    assert await by_postgres.hears("first")


async def test_postgresql_carries_on_when_its_connections_are_broken(by_postgres: Pair, postgres_url: str) -> None:
    assert await by_postgres.hears("first")
    await end_others(make_url(postgres_url))
    assert await by_postgres.hears("second")


async def test_redis_carries_news_to_another_process(by_redis: Pair) -> None:
    assert await by_redis.hears("first")


async def test_redis_carries_on_when_it_was_away(by_redis: Pair, own_redis: OwnRedis) -> None:
    assert await by_redis.hears("first")
    own_redis.kill()
    by_redis.buses[0].tell([News("file", {"id": "lost"})])
    own_redis.start()
    assert await by_redis.hears("second")


async def test_nothing_is_sent_while_there_is_no_connection(postgres_url: str) -> None:
    assert not await PostgresCarrier(postgres_url).send("[]")
