"""Small blobs of many uploads at once, settled together by a process beside the service.

A thread that settles one gives up the interpreter for each of its system calls, and asks for it again while the event
loop has it: that costs both more than the calls. A process has an interpreter of its own.
"""

import asyncio
from collections import deque
from contextvars import Context

from storage.endings import Endings
from storage.settler_process import SettlerProcess
from storage.settling import Settling, SmallBlob
from storage.store import Stored, StoreError
from storage.threads import Threads, see_failure

_MOST_TOGETHER = 64


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
        self._waiting: deque[tuple[SmallBlob, asyncio.Future[Stored]]] = deque()
        self._together: asyncio.Task[None] | None = None

    def start(self, blob: SmallBlob) -> asyncio.Future[Stored]:
        """Settle a blob; await it through `asyncio.shield`. Raises StoreError, its result StoreFull or StoreError."""
        if not self._in_threads and self._together is None:
            return self._start_alone(blob)
        if not self._process.is_ready:
            self._process.start()
            return self._start_alone(blob)
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        future.add_done_callback(see_failure)
        self._waiting.append((blob, future))
        if self._together is None:
            # A context of its own: what it logs is no single request's.
            self._together = asyncio.get_running_loop().create_task(self._settle_waiting(), context=Context())
        return future

    async def undo(self, stored: Stored) -> None:
        """Remove a blob that was settled, and its lease. Raises StoreError."""
        await self._threads.run(self._settling.undo, stored)

    async def close(self) -> None:
        """Let what was begun come to its end."""
        if self._together is not None:
            await asyncio.wait({self._together})
        await self._process.close()
        await self._endings.close()

    def _start_alone(self, blob: SmallBlob) -> asyncio.Future[Stored]:
        future = self._threads.start(self._settling.settle, blob)
        self._in_threads += 1
        future.add_done_callback(self._end_alone)
        return future

    def _end_alone(self, _: asyncio.Future[Stored]) -> None:
        self._in_threads -= 1

    async def _settle_waiting(self) -> None:
        while self._waiting:
            together = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_TOGETHER))]
            outcomes: list[Stored | StoreError]
            try:
                outcomes = await self._process.settle_all([blob for blob, _ in together], self._endings.take())
            except StoreError as failure:
                outcomes = [failure] * len(together)
            for (_, future), outcome in zip(together, outcomes, strict=True):
                if isinstance(outcome, StoreError):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
        self._together = None
