"""The ends of leases, of many together: removing a name takes no time, changing to a thread for it does."""

import asyncio
from collections.abc import Sequence

from storage.leases import Leases
from storage.threads import Threads


class Endings:
    """Ends leases, one job at a time: those that come while one is under way are the next one's."""

    def __init__(self, leases: Leases, threads: Threads) -> None:
        self._leases = leases
        self._threads = threads
        self._keys: list[str] = []
        self._next: asyncio.Future[None] | None = None
        self._last: asyncio.Future[None] | None = None

    async def end(self, key: str) -> None:
        """End the lease of a key, and wait until that is done. Raises StoreError, also for who went together."""
        self._keys.append(key)
        if self._next is None:
            self._next = asyncio.ensure_future(self._end_all())
            self._next.add_done_callback(_see_failure)
        await asyncio.shield(self._next)

    async def _end_all(self) -> None:
        if self._last is not None:
            await asyncio.wait({self._last})
        keys, self._keys = self._keys, []
        self._next, self._last = None, self._next
        await self._threads.run(self._end_each, keys)

    def _end_each(self, keys: Sequence[str]) -> None:
        faults = []
        for key in keys:
            try:
                self._leases.end(key)
            except OSError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]


def _see_failure(ending: asyncio.Future[None]) -> None:
    # Whoever waited for it may be gone.
    if not ending.cancelled():
        ending.exception()
