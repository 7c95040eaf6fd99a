import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest

from db import rates
from db.rates import PREFIX, Charge, Rate, RateCounter, Standing
from db.redis import RedisLink
from tests.records import MovableClock
from tests.servers import OwnRedis

TEN_A_MINUTE = Rate(10, 60)


class Local:
    """Counting in this process, with a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = MovableClock()
        self.counter = RateCounter(None, self.clock.seconds)

    async def takes(self, charge: Charge) -> bool:
        [standing] = await self.counter.take([charge])
        return standing.wait_seconds == 0

    async def taken(self, charge: Charge, tries: int) -> int:
        return [await self.takes(charge) for _ in range(tries)].count(True)


@pytest.fixture
def local() -> Local:
    return Local()


@pytest.fixture
async def link(own_redis: OwnRedis) -> AsyncIterator[RedisLink]:
    own = RedisLink(own_redis.url, retry_seconds=0.05)
    yield own
    await own.close()


def a_charge(rate: Rate = TEN_A_MINUTE, weight: int = 1, *, is_growing: bool = False) -> Charge:
    return Charge(uuid4().hex, rate, weight, is_growing)


async def test_as_much_as_the_rate_says_can_be_had_at_once_and_no_more(local: Local) -> None:
    assert await local.taken(a_charge(), 100) == 10


async def test_what_was_taken_comes_back_evenly(local: Local) -> None:
    charge = a_charge()
    await local.taken(charge, 10)
    for _ in range(30):
        local.clock.forward(seconds=6)
        assert await local.taken(charge, 5) == 1


async def test_the_edges_of_windows_give_nothing_away(local: Local) -> None:
    charge = a_charge()
    local.clock.forward(seconds=59.9)
    assert await local.taken(charge, 20) == 10
    for _ in range(2):
        local.clock.forward(seconds=0.1)
        assert await local.taken(charge, 20) == 0
    local.clock.forward(seconds=5.8)
    assert await local.taken(charge, 20) == 1
    local.clock.forward(seconds=600)
    assert await local.taken(charge, 20) == 10


async def test_a_refusal_says_exactly_how_long_to_wait(local: Local) -> None:
    charge = a_charge()
    await local.taken(charge, 10)
    [refused] = await local.counter.take([charge])
    assert refused == pytest.approx(Standing(6, 0, 60))
    local.clock.forward(seconds=5.99)
    assert not await local.takes(charge)
    local.clock.forward(seconds=0.01)
    assert await local.takes(charge)


async def test_refused_charges_cost_nothing(local: Local) -> None:
    charge = a_charge()
    await local.taken(charge, 1000)
    local.clock.forward(seconds=6)
    assert await local.takes(charge)


async def test_a_standing_tells_what_is_left(local: Local) -> None:
    charge = a_charge(Rate(7, 60))
    left = [(await local.counter.take([charge]))[0].remaining for _ in range(7)]
    assert left == [6, 5, 4, 3, 2, 1, 0]


async def test_weights_are_counted(local: Local) -> None:
    charge = a_charge(weight=4)
    assert await local.taken(charge, 5) == 2
    [standing] = await local.counter.take([charge])
    assert standing == pytest.approx(Standing(12, 2, 48))


async def test_more_than_the_whole_amount_waits_until_it_is_whole_and_leaves_a_debt(local: Local) -> None:
    key = uuid4().hex
    large, small = Charge(key, TEN_A_MINUTE, 30), Charge(key, TEN_A_MINUTE)
    assert await local.takes(small)
    assert not await local.takes(large)
    local.clock.forward(seconds=6)
    assert await local.takes(large)
    local.clock.forward(seconds=119)
    assert not await local.takes(small)
    local.clock.forward(seconds=7)
    assert await local.takes(small)


async def test_several_charges_are_taken_together_or_not_at_all(local: Local) -> None:
    scarce, plenty = a_charge(Rate(1, 60)), a_charge()
    assert [each.wait_seconds for each in await local.counter.take([scarce, plenty])] == [0, 0]
    refused = await local.counter.take([scarce, plenty])
    assert [each.wait_seconds > 0 for each in refused] == [True, False]
    assert refused[1].remaining == 9
    assert await local.taken(plenty, 20) == 9


async def test_what_is_given_back_can_be_taken_again(local: Local) -> None:
    charge = a_charge(weight=5)
    await local.taken(charge, 2)
    await local.counter.give_back([charge])
    assert await local.taken(charge, 5) == 1


async def test_giving_back_what_was_never_taken_gives_nothing(local: Local) -> None:
    charge = a_charge(weight=10)
    await local.counter.give_back([charge])
    assert await local.taken(charge, 5) == 1


async def test_delays_double_after_the_free_attempts_up_to_the_span(local: Local) -> None:
    charge = a_charge(Rate(3, 1024), is_growing=True)
    assert await local.taken(charge, 10) == 3
    delays = []
    for _ in range(13):
        [refused] = await local.counter.take([charge])
        delays.append(refused.wait_seconds)
        local.clock.forward(seconds=refused.wait_seconds)
        assert await local.takes(charge)
    assert delays == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024])


async def test_attempts_are_forgotten_after_a_quiet_span(local: Local) -> None:
    charge = a_charge(Rate(3, 1024), is_growing=True)
    await local.taken(charge, 3)
    local.clock.forward(seconds=1 + 1023)
    assert await local.takes(charge)
    assert not await local.takes(charge)
    local.clock.forward(seconds=2 + 1025)
    assert await local.taken(charge, 10) == 3


async def test_an_attempt_that_is_given_back_opens_the_door_and_keeps_what_was_before(local: Local) -> None:
    charge = a_charge(Rate(3, 1024), is_growing=True)
    await local.taken(charge, 3)
    local.clock.forward(seconds=1)
    assert await local.takes(charge)
    await local.counter.give_back([charge])
    assert await local.takes(charge)
    [refused] = await local.counter.take([charge])
    assert refused.wait_seconds == pytest.approx(2)


async def test_no_more_keys_are_kept_than_there_is_room_for(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MAXIMUM_KEPT", 100)
    busy = a_charge(Rate(1, 3600))
    assert await local.takes(busy)
    for number in range(1000):
        await local.takes(Charge(str(number), TEN_A_MINUTE))
        assert not await local.takes(busy)
    assert len(local.counter._local._kept[False]) == 100


async def test_guesses_are_not_forgotten_for_want_of_room_for_requests(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MAXIMUM_KEPT", 100)
    guess = a_charge(Rate(1, 3600), is_growing=True)
    assert await local.takes(guess)
    for number in range(1000):
        await local.takes(Charge(str(number), TEN_A_MINUTE))
    assert not await local.takes(guess)


def on_a_clock_of_the_test(script: str) -> str:
    assert rates._NOW in script
    return script.replace(rates._NOW, "local now = tonumber(ARGV[#ARGV])")


@pytest.mark.parametrize("seed", range(5))
async def test_redis_and_this_process_count_alike(redis_url: str, seed: int) -> None:
    chance, link, now = random.Random(seed), RedisLink(redis_url, timeout_seconds=10), 1_764_000_000.0
    counter = RateCounter(None, lambda: now)
    spans = [Rate(chance.randint(1, 12), chance.choice([1, 60, 3600])) for _ in range(4)] + [Rate(1 << 40, 86400)]
    keys = [(f"{uuid4().hex}", rate, chance.random() < 0.4) for rate in spans]

    async def in_redis(script: str, charges: Sequence[Charge]) -> list[int]:
        numbers = [
            number
            for each in charges
            for number in (each.rate.amount, each.rate.seconds, each.weight, int(each.is_growing), len(charges))
        ]
        answer = await link.call(
            lambda client: client.eval(
                on_a_clock_of_the_test(script),
                len(charges),
                *[PREFIX + each.key for each in charges],
                *numbers,
                repr(now),
            ),
            default=None,
        )
        assert answer is not None
        return list(answer)

    for _ in range(300):
        now += chance.choice([0.0, 0.001, 0.7, 5.0, 60.0, 900.0]) * chance.random()
        chosen = chance.sample(keys, chance.randint(1, 3))
        charges = [
            Charge(key, rate, 1 if is_growing else chance.randint(0, min(2 * rate.amount, 1 << 41)), is_growing)
            for key, rate, is_growing in chosen
        ]
        if chance.random() < 0.2:
            await in_redis(rates._GIVE_BACK, charges)
            await counter.give_back(charges)
            continue
        answer = await in_redis(rates._TAKE, charges)
        here = await counter.take(charges)
        assert answer[1::3] == [each.remaining for each in here]
        assert [each / 1e6 for each in answer[::3]] == pytest.approx([each.wait_seconds for each in here], abs=1e-5)
        assert [each / 1e6 for each in answer[2::3]] == pytest.approx([each.reset_seconds for each in here], abs=1e-5)
    await link.close()


async def test_processes_that_share_a_redis_count_together(redis_url: str) -> None:
    link = RedisLink(redis_url, timeout_seconds=10)
    counters = [RateCounter(link), RateCounter(link)]
    charge = a_charge(Rate(10, 3600))
    standings = await asyncio.gather(*(counters[number % 2].take([charge]) for number in range(50)))
    assert [each.wait_seconds for [each] in standings].count(0) == 10
    await link.close()


@pytest.mark.parametrize("is_growing", [False, True])
async def test_what_redis_counted_can_be_given_back_and_ends_by_itself(link: RedisLink, *, is_growing: bool) -> None:
    counter, charge = RateCounter(link), a_charge(Rate(1, 3600), is_growing=is_growing)
    assert (await counter.take([charge]))[0].remaining == 0
    [refused] = await counter.take([charge])
    assert 0 < refused.wait_seconds <= (3600 / 1024 if is_growing else 3600)
    await counter.give_back([charge])
    assert (await counter.take([charge]))[0].wait_seconds == 0
    left = await link.call(lambda client: client.ttl(PREFIX + charge.key), default=None)
    assert left is not None
    assert 0 < left <= 2 * 3600


async def test_fifty_at_once_in_one_process_are_counted_one_by_one() -> None:
    counter, charge = RateCounter(None), a_charge(Rate(10, 3600))
    standings = await asyncio.gather(*(counter.take([charge]) for _ in range(50)))
    assert [each.wait_seconds for [each] in standings].count(0) == 10


async def returns(link: RedisLink) -> bool:
    for _ in range(200):
        if await link.ping():
            return True
        await asyncio.sleep(0.02)
    return False


async def seconds_of(counter: RateCounter, charge: Charge) -> float:
    started_at = time.perf_counter()
    await counter.take([charge])
    return time.perf_counter() - started_at


async def test_a_redis_that_dies_is_replaced_at_once_and_taken_back(own_redis: OwnRedis, link: RedisLink) -> None:
    counter, charge = RateCounter(link), a_charge(Rate(3, 3600))
    await counter.take([charge])
    own_redis.kill()
    assert await seconds_of(counter, charge) < 0.1
    assert (await counter.take([charge]))[0].remaining == 1
    assert (await counter.take([charge]))[0].remaining == 0
    assert (await counter.take([charge]))[0].wait_seconds > 0
    own_redis.start()
    assert await returns(link)
    # It has forgotten what it counted, and the script too.
    assert (await counter.take([charge]))[0].remaining == 2


async def test_a_redis_that_hangs_is_waited_for_once(own_redis: OwnRedis, link: RedisLink) -> None:
    counter, charge = RateCounter(link), a_charge(Rate(1000, 3600))
    await counter.take([charge])
    own_redis.signal(signal.SIGSTOP)
    try:
        started_at = time.perf_counter()
        await asyncio.gather(*(counter.take([charge]) for _ in range(50)))
        together = time.perf_counter() - started_at
        after = [await seconds_of(counter, charge) for _ in range(20)]
    finally:
        own_redis.signal(signal.SIGCONT)
    assert together < 0.5  # 80 ms on an idle machine; one after the other they would take four seconds
    assert sorted(after)[10] < 0.02
    assert await returns(link)
    assert (await counter.take([charge]))[0].wait_seconds == 0


async def test_a_redis_that_was_never_there_costs_nothing_but_the_others_counts() -> None:
    link = RedisLink("redis://127.0.0.1:1/0")
    counter, charge = RateCounter(link), a_charge(Rate(2, 3600))
    standings = [(await counter.take([charge]))[0].remaining for _ in range(2)]
    assert standings == [1, 0]
    await counter.give_back([charge])
    assert (await counter.take([charge]))[0].wait_seconds == 0
    await link.close()
