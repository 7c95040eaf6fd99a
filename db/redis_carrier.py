"""News between processes that share a Redis: its publish and subscribe."""

import asyncio
from collections.abc import Callable

from db.redis import RETRY_SECONDS, RedisLink

CHANNEL = "cairn:news"


class RedisCarrier:
    """Implements `db.bus.Carrier`."""

    def __init__(self, link: RedisLink, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._link = link
        self._retry_seconds = retry_seconds

    async def send(self, parcel: str) -> bool:
        """Publish. False while Redis is out of order."""
        return await self._link.call(lambda client: client.publish(CHANNEL, parcel), default=None) is not None

    async def run(self, deliver: Callable[[str], None]) -> None:
        """Subscribe, and again whenever Redis is back."""
        while True:
            await self._link.listen(CHANNEL, deliver)
            await asyncio.sleep(self._retry_seconds)
