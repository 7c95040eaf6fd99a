"""Questions of many requests, asked of the database together.

A statement costs far more than a row of its answer. While one is on its way the next questions gather, and go with the
one after it; a question that comes alone does not wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextvars import Context
from itertools import chain
from typing import Generic, TypeVar

AT_ONCE = 2
MAXIMUM_TOGETHER = 64
PATIENCE_SECONDS = 0.005
"""How long the next questions gather behind those that are on their way, before they go beside them."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batches(Generic[Question, Answer]):
    """Asks `load` for many at once; what its answer lacks is None. Nothing is kept: each question is asked anew.

    Only where an answer keeps them waiting do the next go beside it, so that what is slow for some is not for all.
    """

    def __init__(
        self,
        load: Callable[[Collection[Question]], Awaitable[Mapping[Question, Answer]]],
        *,
        at_once: int = AT_ONCE,
        maximum_together: int = MAXIMUM_TOGETHER,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._load = load
        self._at_once = at_once
        self._maximum_together = maximum_together
        self._patience_seconds = patience_seconds
        self._impatience: asyncio.TimerHandle | None = None
        self._waiting: dict[asyncio.Future[Answer | None], Question] = {}
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps no hold of them

    async def ask(self, question: Question) -> Answer | None:
        """The answer as of now, or later; never from before the question. Raises what `load` raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer | None] = loop.create_future()
        self._waiting[future] = question
        if not self._under_way:
            self._begin()
        elif self._under_way < self._at_once and self._impatience is None:
            self._impatience = loop.call_later(self._patience_seconds, self._begin_beside)
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    def _begin_beside(self) -> None:
        self._impatience = None
        if self._waiting and self._under_way < self._at_once:
            self._begin()

    def _begin(self) -> None:
        self._under_way += 1
        # A context of its own: what goes wrong for all of them is not one request's.
        task = asyncio.get_running_loop().create_task(self._answer_all(), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                await self._answer_some()
        finally:
            # Here, not when the task is seen to be done: a question that came in between would wait for nobody.
            self._under_way -= 1

    def _take_together(self) -> dict[Question, list[asyncio.Future[Answer | None]]]:
        """Those that have waited longest, and whoever asks the same as one of them: that costs nothing more."""
        taken: dict[Question, list[asyncio.Future[Answer | None]]] = {}
        for future, question in self._waiting.items():
            asking = taken.get(question)
            if asking is not None:
                asking.append(future)
            elif len(taken) < self._maximum_together:
                taken[question] = [future]
        for future in chain.from_iterable(taken.values()):
            del self._waiting[future]
        return taken

    async def _answer_some(self) -> None:
        asked = self._take_together()
        try:
            answers = await self._load(list(asked))
        except Exception as fault:  # noqa: BLE001 - it is raised where the questions were asked
            for future in chain.from_iterable(asked.values()):
                if not future.done():
                    future.set_exception(fault)
        else:
            for question, asking in asked.items():
                answer = answers.get(question)
                for future in asking:
                    if not future.done():
                        future.set_result(answer)
