"""Leases that may end: they do so together, a moment later, since changing to a thread costs more than ending one."""

import asyncio
import logging
from collections.abc import Sequence
from contextvars import Context

from storage.leases import Leases
from storage.store import StoreError
from storage.threads import Threads

_PAUSE_SECONDS = 0.05

_log = logging.getLogger(__name__)


class Endings:
    """The leases of one store that may end. One that cannot be ended is logged, and runs out."""

    def __init__(self, leases: Leases, threads: Threads) -> None:
        self._leases = leases
        self._threads = threads
        self._keys: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._job: asyncio.Task[None] | None = None

    def note(self, key: str) -> None:
        """Have a lease end soon."""
        self._keys.append(key)
        if not self.is_due:
            # A context of its own: what it logs is no single request's.
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._begin, context=Context())

    def take(self) -> list[str]:
        """Those that have not ended yet, for somebody else to end."""
        keys, self._keys = self._keys, []
        return keys

    @property
    def is_due(self) -> bool:
        """Whether some end in a moment, unless they are taken before."""
        return self._timer is not None

    async def close(self) -> None:
        """End what is left."""
        if self._timer is not None:
            self._timer.cancel()
        if self._job is not None:
            await asyncio.wait({self._job})
        await self._end(self.take())

    def _begin(self) -> None:
        self._timer = None
        if self._keys:
            self._job = asyncio.create_task(self._end(self.take()))

    async def _end(self, keys: Sequence[str]) -> None:
        try:
            await self._threads.run(self._leases.end_all, keys)
        except StoreError:
            _log.exception("leases could not be ended: they run out")
