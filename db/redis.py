"""The one doorway to Redis, which may be missing, die, hang and come back: that costs speed, never an error.

A breaker stands in it. The first call that finds Redis out of order waits for at most the timeout; from then on calls
return their default at once, while a task in the background asks every so often whether Redis is back.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

T = TypeVar("T")

TIMEOUT_SECONDS = 0.08
RETRY_SECONDS = 0.5
MAXIMUM_CONNECTIONS = 64
CHECK_SECONDS = 10.0
"""How often whoever listens asks whether Redis is still there, when nothing comes."""

_log = logging.getLogger(__name__)


class RedisLink:
    """A connection pool behind a breaker. Belongs to the event loop that first calls it."""

    def __init__(
        self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._retry_seconds = retry_seconds
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAXIMUM_CONNECTIONS,
            timeout=None,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._client = Redis(connection_pool=self._pool)
        self._probe: asyncio.Task[None] | None = None
        self._answered_at = -math.inf

    @property
    def is_up(self) -> bool:
        """Whether calls go through; the truth as of the last call."""
        return self._probe is None

    async def call(self, command: Callable[[Redis], Awaitable[T]], default: T) -> T:
        """The command's answer, or the default where Redis is down, too slow or refuses the command.

        `command` is given the client and awaits one command or pipeline; text comes back as bytes. It may have
        taken effect although the default is returned, so it must be one that can be lost or repeated.
        """
        if self._probe is not None:
            return default
        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await command(self._client)
        except ResponseError as fault:
            _log.warning("Redis refused a command: %s", type(fault).__name__, exc_info=fault)
        except (TimeoutError, RedisTimeoutError) as fault:
            # In a burst some calls wait too long for their turn while others are answered: busy is not broken.
            if time.monotonic() - self._answered_at > self._timeout_seconds / 2:
                self._open(fault)
        except (RedisError, OSError) as fault:
            self._open(fault)
        else:
            self._answered_at = time.monotonic()
            return answer
        return default

    async def run(self, script: str, keys: Sequence[str], values: Sequence[int]) -> list[int] | None:
        """The integers that a Lua script answers, None instead of them where Redis is out of order."""

        async def asked(client: Redis) -> list[int] | None:
            # Sent by its digest, and whole only to a Redis that does not know it yet.
            answer: list[int] = await client.register_script(script)(keys, values)
            return answer

        return await self.call(asked, default=None)

    async def kept(self, key: str) -> bytes | None:
        """What is kept under a key."""

        async def asked(client: Redis) -> bytes | None:
            found: Any = await client.get(key)
            return cast("bytes | None", found)

        return await self.call(asked, default=None)

    async def keep(self, key: str, text: str, seconds: float) -> None:
        """Keep a text under a key for so long."""
        await self.call(lambda client: client.set(key, text, px=_milliseconds(seconds)), default=None)

    async def claim(self, key: str, seconds: float) -> bool:
        """Whether nobody had claimed the key, or gave it back, or had it for too long. True where nobody knows."""

        async def asked(client: Redis) -> bool:
            return await client.set(key, 1, nx=True, px=_milliseconds(seconds)) is not None

        return await self.call(asked, default=True)

    async def give_back(self, key: str) -> None:
        """Let others claim a key."""
        await self.call(lambda client: client.delete(key), default=None)

    async def listen(self, channel: str, deliver: Callable[[str], None]) -> None:
        """Deliver what is published to a channel, until Redis is out of order. Never raises."""
        subscription = self._client.pubsub()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await subscription.subscribe(channel)
            while True:
                message = await subscription.get_message(ignore_subscribe_messages=True, timeout=CHECK_SECONDS)
                if message is not None:
                    deliver(message["data"].decode(errors="replace"))
                elif not await self.ping():
                    return
        except (TimeoutError, RedisError, OSError) as fault:
            _log.debug("News are not heard by Redis (%s)", type(fault).__name__)
        finally:
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(self._timeout_seconds):
                    await subscription.aclose()  # type: ignore[no-untyped-call]

    async def ping(self) -> bool:
        """Whether Redis answers right now."""
        return await self.call(_ping, default=False)

    async def close(self) -> None:
        """Stop probing and close the connections."""
        if self._probe is not None:
            self._probe.cancel()
            with suppress(asyncio.CancelledError):
                await self._probe
        await self._disconnect()

    def _open(self, fault: Exception) -> None:
        if self._probe is None:
            _log.warning("Redis is out of order (%s); going on without it", type(fault).__name__)
            self._probe = asyncio.create_task(self._wait_until_back())

    async def _wait_until_back(self) -> None:
        while True:
            # What is left on the old connections may be the answers to commands that were given up.
            await self._disconnect()
            await asyncio.sleep(self._retry_seconds)
            with suppress(RedisError, OSError):
                async with asyncio.timeout(self._timeout_seconds):
                    if await _ping(self._client):
                        break
        self._probe = None
        _log.info("Redis is back")

    async def _disconnect(self) -> None:
        with suppress(RedisError, OSError):
            async with asyncio.timeout(self._timeout_seconds):
                await self._pool.disconnect()


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


async def _ping(client: Redis) -> bool:
    answer: Any = await client.ping()
    return bool(answer)
