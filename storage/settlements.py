"""Small blobs of many uploads at once, settled together by a process beside the service.

A thread that settles one gives up the interpreter for each of its system calls, and asks for it again while the event
loop has it: that costs both more than the calls. A process has an interpreter of its own.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from storage.endings import Endings
from storage.settler_process import SettlerProcess, outcomes_of
from storage.settling import Settling, SmallBlob
from storage.store import Stored, StoreError
from storage.threads import Threads, see_failure

_MOST_TOGETHER = 64


class _Waiting(NamedTuple):
    blob: SmallBlob
    future: asyncio.Future[Stored]

    def tell(self, outcome: Stored | BaseException) -> None:
        if isinstance(outcome, BaseException):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Settlements:
    """Has a thread settle who comes alone. Who comes while others are under way goes to the process, if there is one.

    While it settles some the next gather.
    """

    def __init__(self, settling: Settling, endings: Endings, threads: Threads, process: SettlerProcess) -> None:
        self._settling = settling
        self._endings = endings
        self._threads = threads
        self._process = process
        self._in_threads = 0
        self._gathered: deque[_Waiting] = deque()
        self._asked: asyncio.Future[Any] | None = None

    def start(self, blob: SmallBlob) -> asyncio.Future[Stored]:
        """Settle a blob; await it through `asyncio.shield`. Raises StoreError, its result StoreFull or StoreError."""
        if not self._in_threads and self._asked is None:
            return self._start_alone(blob)
        if not self._process.is_ready:
            self._process.start()
            return self._start_alone(blob)
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        future.add_done_callback(see_failure)
        self._gathered.append(_Waiting(blob, future))
        if self._asked is None:
            self._ask()
        return future

    async def undo(self, stored: Stored) -> None:
        """Remove a blob that was settled, and its lease. Raises StoreError."""
        await self._threads.run(self._settling.undo, stored)

    async def close(self) -> None:
        """Let what was begun come to its end."""
        while self._asked is not None:
            await asyncio.wait({self._asked})
        await self._process.close()
        await self._endings.close()

    def _start_alone(self, blob: SmallBlob) -> asyncio.Future[Stored]:
        future = self._threads.start(self._settling.settle, blob)
        self._in_threads += 1
        future.add_done_callback(self._end_alone)
        return future

    def _end_alone(self, _: asyncio.Future[Stored]) -> None:
        self._in_threads -= 1

    def _ask(self) -> None:
        together = [self._gathered.popleft() for _ in range(min(len(self._gathered), _MOST_TOGETHER))]
        ended = self._endings.take()
        self._asked = self._process.settle_all([waiting.blob for waiting in together], ended)
        self._asked.add_done_callback(partial(self._tell, together, ended))

    def _tell(self, together: Sequence[_Waiting], ended: Sequence[str], asked: asyncio.Future[Any]) -> None:
        self._asked = None
        outcomes: Sequence[Stored | StoreError]
        try:
            outcomes = outcomes_of([waiting.blob for waiting in together], asked.result())
        except StoreError as failure:
            outcomes = [StoreError(str(failure)) for _ in together]  # each is raised for itself
            for key in ended:
                self._endings.note(key)
        self._go_on()
        for waiting, outcome in zip(together, outcomes, strict=True):
            waiting.tell(outcome)

    def _go_on(self) -> None:
        if self._gathered and self._process.is_ready:
            self._ask()
        while self._gathered and self._asked is None:  # those that the process that is gone was never asked for
            self._start_beside(self._gathered.popleft())

    def _start_beside(self, waiting: _Waiting) -> None:
        try:
            alone = self._start_alone(waiting.blob)
        except StoreError as failure:
            waiting.tell(failure)
        else:
            alone.add_done_callback(lambda done: waiting.tell(done.exception() or done.result()))
