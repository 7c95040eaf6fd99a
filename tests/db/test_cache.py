import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from db import cache
from db.cache import BUSY, Cache, Outcome, Question
from db.redis import RedisLink
from tests.machine import comes_true
from tests.records import NOW, MovableClock
from tests.servers import OwnRedis

MINUTE = 60.0
TIMEOUT_SECONDS = 1
"""More than the service's own: an answer that a busy machine holds back for so long is none."""


class Asked:
    """What is computed, and how often it was."""

    def __init__(self, seconds: float = 0) -> None:
        self.times = 0
        self.fault: Exception | None = None
        self.seconds = seconds

    async def compute(self) -> Any:
        self.times += 1
        number = self.times
        await asyncio.sleep(self.seconds)
        if self.fault:
            raise self.fault
        return {"number": number, "pair": (1, 2)}


def a_question(*rights: str, **parameters: Any) -> Question:
    return Question("test", frozenset(rights), {"of": "this test", **parameters})


def new() -> Question:
    """A question that nobody has asked: the Redis of the run is shared."""
    return a_question(at=uuid4().hex)


@pytest.fixture
async def links(own_redis: OwnRedis) -> AsyncIterator[list[RedisLink]]:
    """The links of two processes."""
    own = [RedisLink(own_redis.url, timeout_seconds=TIMEOUT_SECONDS, retry_seconds=0.05) for _ in range(2)]
    yield own
    for link in own:
        await link.close()


@pytest.fixture(params=["here", "redis"])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    """A cache without Redis, and one with it."""
    if request.param == "here":
        yield Cache(None)
        return
    link = RedisLink(request.getfixturevalue("redis_url"), timeout_seconds=5)
    yield Cache(link)
    await link.close()


async def test_an_answer_is_computed_once_and_kept_as_json_has_it(kept: Cache) -> None:
    asked, question = Asked(), new()
    answers = [await kept.answer(question, MINUTE, asked.compute) for _ in range(3)]
    assert asked.times == 1
    assert answers == [answers[0]] * 3
    assert answers[0].value == {"number": 1, "pair": [1, 2]}


async def test_when_many_ask_at_once_one_computes(kept: Cache) -> None:
    asked, question = Asked(seconds=0.05), new()
    answers = await asyncio.gather(*(kept.answer(question, MINUTE, asked.compute) for _ in range(50)))
    assert asked.times == 1
    assert len({id(answer.value) for answer in answers}) == 50, "nobody changes what another was given"


async def test_a_fault_is_everybodys_who_waits_and_is_not_kept(kept: Cache) -> None:
    asked, question = Asked(seconds=0.02), new()
    asked.fault = OSError("gone")
    answers = await asyncio.gather(
        *(kept.answer(question, MINUTE, asked.compute) for _ in range(5)), return_exceptions=True
    )
    assert answers == [asked.fault] * 5
    asked.fault = None
    assert (await kept.answer(question, MINUTE, asked.compute)).value["number"] == 2


async def test_whoever_leaves_takes_nothing_from_the_others(kept: Cache) -> None:
    asked, question = Asked(seconds=0.05), new()
    leaving = asyncio.create_task(kept.answer(question, MINUTE, asked.compute))
    staying = asyncio.create_task(kept.answer(question, MINUTE, asked.compute))
    await asyncio.sleep(0.01)
    leaving.cancel()
    assert (await staying).value["number"] == 1
    assert asked.times == 1


async def test_a_fault_that_nobody_waits_for_bothers_nobody(kept: Cache) -> None:
    asked, question = Asked(seconds=0.02), new()
    asked.fault = OSError("gone")
    leaving = asyncio.create_task(kept.answer(question, MINUTE, asked.compute))
    assert await comes_true(lambda: asked.times == 1)
    leaving.cancel()
    assert await comes_true(lambda: not kept._asked)


def test_a_question_is_the_same_in_whatever_order_it_is_put() -> None:
    assert a_question("b", "a", x=1, y=2).key == a_question("a", "b", y=2, x=1).key


def test_other_rights_other_parameters_and_other_names_are_other_questions() -> None:
    asked = [
        a_question(),
        a_question("a"),
        a_question("a", "b"),
        a_question("ab"),
        a_question("a", x=1),
        a_question("a", x="1"),
        a_question("a", x=None),
        Question("test2", frozenset("a"), {"of": "this test"}),
    ]
    assert len({question.key for question in asked}) == len(asked)


def test_a_key_tells_nothing_of_the_question() -> None:
    assert "secret" not in a_question("secret", secret="secret").key


async def test_changed_rights_are_answered_anew(kept: Cache) -> None:
    asked, unique = Asked(), uuid4().hex
    before = await kept.answer(a_question("wsp_a", "wsp_b", at=unique), MINUTE, asked.compute)
    after = await kept.answer(a_question("wsp_a", at=unique), MINUTE, asked.compute)
    assert (before.value["number"], after.value["number"]) == (1, 2)


async def test_an_answer_says_how_old_it_is_and_ends_with_its_life() -> None:
    clock, asked, question = MovableClock(), Asked(), a_question()
    own = Cache(None, clock=clock.seconds)
    clock.forward(seconds=1)
    assert (await own.answer(question, MINUTE, asked.compute)).as_of == NOW + timedelta(seconds=1)
    clock.forward(seconds=59)
    assert (await own.answer(question, MINUTE, asked.compute)).as_of == NOW + timedelta(seconds=1)
    clock.forward(seconds=1)
    assert (await own.answer(question, MINUTE, asked.compute)).as_of == NOW + timedelta(seconds=61)
    clock.forward(seconds=-30)
    assert (await own.answer(question, MINUTE, asked.compute)).value["number"] == 3


async def test_a_life_ends_in_redis_too(redis_url: str) -> None:
    link, asked, question = RedisLink(redis_url, timeout_seconds=5), Asked(), new()
    own = Cache(link)
    await own.answer(question, 0.05, asked.compute)
    await asyncio.sleep(0.1)
    assert (await own.answer(question, 0.05, asked.compute)).value["number"] == 2
    await link.close()


async def test_what_is_kept_here_is_bounded_and_the_longest_unasked_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "MAXIMUM_CHARACTERS", 1000)
    own, times = Cache(None), Counter[int]()

    async def ask(number: int) -> None:
        async def compute() -> str:
            times[number] += 1
            return "x" * 300

        await own.answer(a_question(number=number), MINUTE, compute)

    for number in (1, 2, 3, 1, 4, 1, 2):
        await ask(number)
    assert times == {1: 1, 2: 2, 3: 1, 4: 1}
    assert own._here._characters <= 1000
    assert sum(len(text) for _, text in own._here._answers.values()) == own._here._characters


async def test_processes_share_what_one_of_them_has_computed(links: list[RedisLink]) -> None:
    asked, question = Asked(), a_question()
    for link in links:
        assert (await Cache(link).answer(question, MINUTE, asked.compute)).value["number"] == 1
    assert asked.times == 1


async def test_of_all_processes_that_ask_at_once_one_computes(links: list[RedisLink]) -> None:
    asked, question, caches = Asked(seconds=0.1), a_question(), [Cache(link) for link in links]
    answers = await asyncio.gather(*(own.answer(question, MINUTE, asked.compute) for own in caches for _ in range(10)))
    assert asked.times == 1
    assert len({answer.as_of for answer in answers}) == 1


async def test_a_process_that_died_while_it_computed_is_not_waited_for_forever(
    links: list[RedisLink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "PATIENCE_SECONDS", 0.2)
    asked, question = Asked(), a_question()
    assert await links[0].claim(question.key + BUSY, 3600)
    assert (await Cache(links[1]).answer(question, MINUTE, asked.compute)).value["number"] == 1


async def test_what_was_found_in_redis_is_not_asked_for_again(links: list[RedisLink]) -> None:
    asked, question, own = Asked(), new(), Cache(links[1])
    first = await Cache(links[0]).answer(question, MINUTE, asked.compute)
    assert await own.answer(question, MINUTE, asked.compute) == first
    await links[0].give_back(question.key)
    assert await own.answer(question, MINUTE, asked.compute) == first
    assert asked.times == 1


async def test_what_cannot_be_read_is_computed(links: list[RedisLink]) -> None:
    asked, question = Asked(), new()

    def read(value: Any) -> int:
        if not isinstance(value, dict):
            raise TypeError
        return int(value["number"])

    await links[0].keep(question.key, json.dumps([NOW.timestamp(), "nothing of ours"]), MINUTE)
    assert [(await Cache(link).answer(question, MINUTE, asked.compute, read)).value for link in links] == [1, 1]


async def test_what_was_computed_just_before_it_was_claimed_is_taken(links: list[RedisLink]) -> None:
    asked, question = Asked(), a_question()
    late, claim = Cache(links[1]), links[1].claim

    async def claim_late(key: str, seconds: float) -> bool:
        await Cache(links[0]).answer(question, MINUTE, asked.compute)
        return await claim(key, seconds)

    links[1].claim = claim_late  # type: ignore[method-assign]
    assert (await late.answer(question, MINUTE, asked.compute)).value["number"] == 1
    assert asked.times == 1
    assert await links[0].claim(question.key + BUSY, MINUTE), "nobody is taken to be computing"


@pytest.mark.parametrize("written", ["", "no JSON", "[1]", '{"a": 1, "b": 2}', '["x", 1]', "[1e300, 1]", b"\xff"])
async def test_what_is_no_answer_in_redis_is_computed_anew(links: list[RedisLink], written: Any) -> None:
    asked, question = Asked(), a_question()
    await links[0].keep(question.key, written, MINUTE)
    assert (await Cache(links[0]).answer(question, MINUTE, asked.compute)).value["number"] == 1
    assert json.loads(await links[0].kept(question.key) or b"")[1]["number"] == 1


async def test_a_redis_that_dies_costs_time_only(own_redis: OwnRedis, links: list[RedisLink]) -> None:
    asked, question, own = Asked(), a_question(), Cache(links[0])
    await own.answer(question, MINUTE, asked.compute)
    own_redis.kill()
    for _ in range(3):
        assert (await own.answer(question, MINUTE, asked.compute)).value["number"] <= 2
    assert asked.times <= 2, "without it, the process keeps answers by itself"
    other = await own.answer(a_question(x=1), MINUTE, asked.compute)
    assert await own.answer(a_question(x=1), MINUTE, asked.compute) == other
    own_redis.start()
    assert await comes_true(lambda: links[0].is_up)
    await own.answer(a_question(x=2), MINUTE, asked.compute)
    times = asked.times
    await Cache(links[1]).answer(a_question(x=2), MINUTE, asked.compute)
    assert asked.times == times, "it is shared again"


async def test_a_redis_that_hangs_costs_time_only(own_redis: OwnRedis, links: list[RedisLink]) -> None:
    asked, own = Asked(), Cache(links[0])
    assert await links[0].ping()
    own_redis.signal(signal.SIGSTOP)
    try:
        answers = await asyncio.gather(*(own.answer(a_question(x=x), MINUTE, asked.compute) for x in range(20)))
    finally:
        own_redis.signal(signal.SIGCONT)
    assert len(answers) == asked.times == 20


async def test_hits_and_misses_are_told_by_the_name_of_the_question(kept: Cache) -> None:
    told = Counter[tuple[str, Outcome]]()
    kept._observe = lambda name, outcome: told.update([(name, outcome)])
    asked, question = Asked(seconds=0.02), new()
    await asyncio.gather(*(kept.answer(question, MINUTE, asked.compute) for _ in range(3)))
    await kept.answer(question, MINUTE, asked.compute)
    assert told == {("test", Outcome.MISS): 1, ("test", Outcome.SHARED): 2, ("test", Outcome.HIT): 1}


async def test_what_is_being_computed_is_given_up_at_the_end() -> None:
    own = Cache(None)
    asking = asyncio.create_task(own.answer(a_question(), MINUTE, asyncio.Event().wait))
    await asyncio.sleep(0)
    await own.close()
    assert own._asked == {}
    with pytest.raises(asyncio.CancelledError):
        await asking
    await own.close()
