"""What the rules need from outside, implemented: the clock, random numbers, and blocking work in threads of its own."""

import asyncio
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from domain import passwords
from domain.errors import Unavailable
from domain.passwords import Verification

RETRY_SECONDS = 5

Result = TypeVar("Result")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        return datetime.now(UTC)


class SystemRandomness:
    """The operating system's random numbers."""

    def draw(self, count: int) -> bytes:
        """So many random bytes, fit for secrets."""
        return secrets.token_bytes(count)


class ThreadedHasher:
    """Hashes passwords on `threads` threads (0: one per processor), with at most `queue` waiting.

    One asker gets half of the room at most, so that a flood from one place leaves others theirs. Each hash takes
    `memory_bytes`.
    """

    def __init__(self, threads: int, queue: int, memory_bytes: int = passwords.MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="hashing")
        self._room = self._threads + queue
        self._share = max(1, self._room // 2)
        self._busy = 0
        self._busy_by_asker: Counter[str | None] = Counter()

    async def hash(self, password: str, asker: str | None = None) -> str:
        """A hash under the current scheme. Raises Unavailable when too many wait."""
        return await self._run(lambda: passwords.hash_password(password, self._memory_bytes), asker)

    async def verify(self, password: str, hashed: str | None, asker: str | None = None) -> Verification:
        """Compare; None costs as much as a wrong password. Raises Unavailable when too many wait."""
        return await self._run(lambda: passwords.verify_password(password, hashed, self._memory_bytes), asker)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    async def _run(self, work: Callable[[], Result], asker: str | None) -> Result:
        with self._place(asker):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    @contextmanager
    def _place(self, asker: str | None) -> Iterator[None]:
        own = self._busy_by_asker[asker] if asker is not None else 0
        if self._busy >= self._room or own >= self._share:
            raise Unavailable(message="Too many people sign in just now.", retry_after_seconds=RETRY_SECONDS)
        self._busy += 1
        self._busy_by_asker.update([asker])
        try:
            yield
        finally:
            self._busy -= 1
            self._busy_by_asker.subtract([asker])
            if not self._busy_by_asker[asker]:
                del self._busy_by_asker[asker]
