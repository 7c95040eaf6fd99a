"""Remembers that API keys are used, and writes it in batches, beside the requests and about a second late.

No request waits for this, and one that is lost does no harm: the key's next use is noted instead.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from uuid import UUID

from api.logs import get_logger, tell_fault
from db.engine import Database
from domain.api_keys import USE_INTERVAL, note_uses
from domain.key_holders import KeyHolder
from domain.ports import Clock

WAIT_SECONDS = 0.5
CLOSING_SECONDS = 5.0

Write = Callable[[Sequence[UUID]], Awaitable[None]]

_log = get_logger(__name__)


class KeyUses:
    """Gathers the keys whose last use is a minute old or more, and writes them from a task of its own."""

    def __init__(self, write: Write, clock: Clock, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._write = write
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._waiting: set[UUID] = set()
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @classmethod
    def into(cls, db: Database, clock: Clock) -> "KeyUses":
        """One that writes into the database."""
        return cls(partial(_write_into, db, clock), clock)

    def note(self, holder: KeyHolder) -> None:
        """A key has been used just now."""
        last = holder.last_used_at
        if last is not None and self._clock.now() - last < USE_INTERVAL:
            return
        self._waiting.add(holder.api_key_id)
        if self._writing is None:
            # A context of its own: the lines it logs are not the request's that happened to come first.
            self._writing = asyncio.get_running_loop().create_task(self._write_soon(), context=Context())

    async def close(self) -> None:
        """Write what is waiting, without patience for a database that fails."""
        self._closing.set()
        if self._writing is not None:
            _, unfinished = await asyncio.wait({self._writing}, timeout=CLOSING_SECONDS)
            for task in unfinished:
                task.cancel()
                await asyncio.wait({task})

    async def _write_soon(self) -> None:
        try:
            while self._waiting:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self._wait_seconds)
                noted, self._waiting = self._waiting, set()
                await self._write(sorted(noted))
        except Exception as fault:  # noqa: BLE001 - whatever it is, the next use is noted instead
            tell_fault(_log, "uses of API keys could not be written", fault)
        finally:
            self._writing = None


async def _write_into(db: Database, clock: Clock, api_key_ids: Sequence[UUID]) -> None:
    async with db.transaction() as tx:
        await note_uses(tx, api_key_ids, clock.now())
