"""Streams end with what they were opened by: a credential is looked at again for each event, and in between."""

import asyncio
from contextlib import suppress
from typing import Final

from api.credentials import Standing
from api.logs import get_logger, tell_fault
from db.bus import Bus
from domain import topics
from domain.errors import BadCredential, Refusal
from domain.flags import Flag
from domain.viewer import Viewer

CHECK_SECONDS: Final = 10.0
"""How long a credential goes unasked when nobody says anything about it; that its time is over nobody says."""

_log = get_logger(__name__)


class Guard:
    """Watches over one connection, and whoever has opened it."""

    __slots__ = ("_bus", "_doubt", "_standing")

    def __init__(self, bus: Bus, standing: Standing) -> None:
        self._bus = bus
        self._standing = standing
        self._doubt = Flag()

    @property
    def viewer(self) -> Viewer:
        """Who opened it."""
        return self._standing.viewer

    async def require(self) -> None:
        """Do nothing while the credential is good, and allows what it allowed. Raises BadCredential."""
        if self.viewer.user_id is None:
            return
        try:
            found = await self._standing.look()
        except BadCredential:
            self._doubt.set()
            raise
        if found != self.viewer:
            self._doubt.set()
            raise BadCredential(message="What this credential allows has changed: connect again.")

    async def until_over(self) -> Refusal:
        """Why the credential is good no longer, once that is so. Never ends for nobody."""
        stop = self._bus.listen(topics.of_credentials(self.viewer.user_id), self._hear) if self.viewer.user_id else None
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_SECONDS):
                        await self._doubt.wait()
                self._doubt.clear()
                try:
                    await self.require()
                except BadCredential as refusal:
                    return refusal
                except Exception as fault:  # noqa: BLE001 - it says nothing of the credential; nothing is told without it
                    tell_fault(_log, "a credential could not be looked at", fault)
        finally:
            if stop is not None:
                stop()

    def _hear(self, _body: object) -> None:
        self._doubt.set()
