"""Questions that are asked together: each gets its own answer, none from before it was asked, none is forgotten."""

import asyncio
from collections.abc import Collection
from contextvars import ContextVar

import pytest

from db.batches import Batches

mark: ContextVar[str] = ContextVar("mark", default="none")


class Oracle:
    """Doubles numbers below a hundred, when its gate is open; fails on negative ones."""

    def __init__(self) -> None:
        self.asked: list[set[int]] = []
        self.marks: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, questions: Collection[int]) -> dict[int, int]:
        self.asked.append(set(questions))
        self.marks.append(mark.get())
        await self.gate.wait()
        if any(question < 0 for question in questions):
            raise ValueError("negative")
        return {question: 2 * question for question in questions if question < 100}


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


async def test_a_question_alone_is_asked_at_once(oracle: Oracle) -> None:
    together = Batches(oracle.load)

    assert await together.ask(1) == 2
    assert await together.ask(100) is None
    assert oracle.asked == [{1}, {100}]


async def test_nothing_is_remembered(oracle: Oracle) -> None:
    together = Batches(oracle.load)
    for _ in range(3):
        await together.ask(1)

    assert oracle.asked == [{1}, {1}, {1}]


async def test_questions_gather_while_others_are_asked(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=1)
    oracle.gate.clear()
    asking = [asyncio.create_task(together.ask(number)) for number in (1, 2, 3, 2)]
    await asyncio.sleep(0.01)
    late = asyncio.create_task(together.ask(1))
    await asyncio.sleep(0.01)
    oracle.gate.set()

    assert await asyncio.gather(*asking, late) == [2, 4, 6, 4, 2]
    assert oracle.asked == [{1, 2, 3}, {1}]


async def test_no_more_than_so_many_go_together_or_at_once(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=2, maximum_together=10)
    oracle.gate.clear()
    asking = []
    for number in range(50):
        asking.append(asyncio.create_task(together.ask(number)))
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert len(oracle.asked) == 2

    oracle.gate.set()
    assert await asyncio.gather(*asking) == [2 * number for number in range(50)]
    assert max(map(len, oracle.asked)) == 10


async def test_the_next_wait_for_an_answer_that_is_soon_there(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=2, patience_seconds=60)
    oracle.gate.clear()
    asking = [asyncio.create_task(together.ask(1))]
    await asyncio.sleep(0)
    asking += [asyncio.create_task(together.ask(number)) for number in (2, 3)]
    await asyncio.sleep(0.01)
    assert oracle.asked == [{1}]

    oracle.gate.set()
    assert await asyncio.gather(*asking) == [2, 4, 6]
    assert oracle.asked == [{1}, {2, 3}]


async def test_whoever_has_left_is_waited_for_by_no_other_answer(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=2, patience_seconds=0.01)
    oracle.gate.clear()
    asking = asyncio.create_task(together.ask(1))
    await asyncio.sleep(0)
    leaving = asyncio.create_task(together.ask(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0.05)
    assert oracle.asked == [{1}]

    oracle.gate.set()
    assert await asking == 2


async def test_any_number_that_ask_the_same_are_answered_at_once(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=1, maximum_together=2)
    oracle.gate.clear()
    asking = [asyncio.create_task(together.ask(0))]
    await asyncio.sleep(0.01)
    asking += [asyncio.create_task(together.ask(number % 3)) for number in range(30)]
    await asyncio.sleep(0.01)
    oracle.gate.set()
    assert await asyncio.gather(*asking) == [0, *(2 * (number % 3) for number in range(30))]
    assert oracle.asked == [{0}, {0, 1}, {2}]


async def test_a_failure_is_raised_for_those_who_went_together_and_nobody_else(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=1)
    first = await asyncio.gather(together.ask(1), together.ask(-1), return_exceptions=True)

    assert [type(answer) for answer in first] == [ValueError, ValueError]
    assert await together.ask(1) == 2


async def test_who_leaves_is_not_answered_and_nobody_else_notices(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=1)
    oracle.gate.clear()
    asked, other = (asyncio.create_task(together.ask(number)) for number in (1, 2))
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(together.ask(3))
    failing = asyncio.create_task(together.ask(-1))
    await asyncio.sleep(0.01)
    for task in (asked, waiting, failing):
        task.cancel()
    oracle.gate.set()

    assert await other == 4
    assert await together.ask(4) == 8
    assert oracle.asked == [{1, 2}, {4}]


async def test_who_leaves_while_the_answer_fails_goes_unharmed(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=1)
    oracle.gate.clear()
    leaving = asyncio.create_task(together.ask(-1))
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.wait({leaving})
    oracle.gate.set()

    assert await together.ask(1) == 2


async def test_no_question_is_forgotten_however_they_fall(oracle: Oracle) -> None:
    together = Batches(oracle.load, at_once=1)

    async def ask_on(steps: int) -> None:
        for number in range(200):
            assert await together.ask(number % 100) == 2 * (number % 100)
            for _ in range((number + steps) % 4):
                await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await asyncio.gather(*map(ask_on, range(8)))


async def test_what_is_asked_for_all_carries_nobody_s_context(oracle: Oracle) -> None:
    mark.set("mine")
    await Batches(oracle.load).ask(1)

    assert oracle.marks == ["none"]
