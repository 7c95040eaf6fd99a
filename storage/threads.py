"""The store's own few threads: whatever may block runs here, never in the event loop or its default executor."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from storage.faults import translated
from storage.store import StoreError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Threads:
    """Blocking jobs outside the event loop. Jobs begin in the order in which they were started."""

    def __init__(self, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="store")

    def start(self, job: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Begin a job; await it through `asyncio.shield`, or not at all. Its OSErrors come out as StoreErrors.

        Raises StoreError after `close`.
        """
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, _translating, job, *args)
        except RuntimeError as error:
            raise StoreError("the store is closed") from error
        future.add_done_callback(see_failure)
        return future

    async def run(self, job: Callable[[*Ts], T], *args: *Ts) -> T:
        """The result of a job. Cancelling the caller does not stop the job. Raises StoreFull and StoreError."""
        return await asyncio.shield(self.start(job, *args))

    @property
    def executor(self) -> ThreadPoolExecutor:
        """The threads themselves, for a library that brings its own jobs."""
        return self._executor

    def close(self) -> None:
        """Let the jobs that were started come to their end. Blocks until then."""
        self._executor.shutdown()


def _translating(job: Callable[[*Ts], T], *args: *Ts) -> T:
    with translated():
        return job(*args)


def see_failure(future: asyncio.Future[T]) -> None:
    """For a future that nobody may be left to await."""
    # A job whose caller was cancelled may fail unseen: asyncio would complain about it when the future goes.
    if not future.cancelled():
        future.exception()
