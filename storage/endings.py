"""Leases that may end: they do so together, a moment later, since changing to a thread costs more than ending one."""

import asyncio
import logging
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
        self._jobs: set[asyncio.Future[None]] = set()

    def note(self, key: str) -> None:
        """Have a lease end soon."""
        self._keys.append(key)
        if self._timer is None:
            # A context of its own: what it logs is no single request's.
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._begin, context=Context())

    def take(self) -> list[str]:
        """Those that have not ended yet, for somebody else to end."""
        keys, self._keys = self._keys, []
        return keys

    async def close(self) -> None:
        """End what is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._begin()
        if self._jobs:
            await asyncio.wait(self._jobs)

    def _begin(self) -> None:
        self._timer = None
        if not self._keys:
            return
        try:
            job = self._threads.start(self._leases.end_all, self.take())
        except StoreError as fault:
            _tell(fault)
        else:
            self._jobs.add(job)
            job.add_done_callback(self._forget)

    def _forget(self, job: asyncio.Future[None]) -> None:
        self._jobs.discard(job)
        if fault := job.exception():
            _tell(fault)


def _tell(fault: BaseException) -> None:
    _log.error("leases could not be ended: they run out", exc_info=fault)
