"""The service on a socket, in the test's own loop: what it holds can be seen, and what it leaves behind."""

import asyncio
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from httpx2 import AsyncClient

from api.app import create_app
from api.parts import Parts, parts_of
from api.server import ServerLimits, config_of
from api.settings import Settings
from tests.machine import PATIENCE_SECONDS, comes_true


@dataclass(frozen=True, slots=True)
class Inside:
    """A service that listens, and a client of it."""

    port: int
    parts: Parts
    client: AsyncClient
    tasks_before: int

    async def watched(self, topic: str, count: int = 1) -> bool:
        """Whether so many come to listen to topics that begin so."""
        return await comes_true(lambda: self._listeners(topic) == count)

    async def is_quiet(self) -> bool:
        """Whether no listener, no stream and no task is left of those who have gone."""
        return await comes_true(
            lambda: (
                not self.parts.db.bus.topics
                and not self.parts.streams.count
                and len(asyncio.all_tasks()) <= self.tasks_before
            )
        )

    def _listeners(self, topic: str) -> int:
        bus = self.parts.db.bus
        return sum(len(each) for name, each in bus._listeners.items() if name.startswith(topic))


@asynccontextmanager
async def inside(settings: Settings) -> AsyncIterator[Inside]:
    """Serve as `api.server` does, until the block ends."""
    parts = parts_of(settings)
    limits = ServerLimits(settings.stall_seconds, settings.maximum_operations_bytes, 1)
    with socket.socket() as own, ThreadPoolExecutor(1) as file_threads:
        own.bind(("127.0.0.1", 0))
        config = config_of(create_app(settings, parts), limits, file_threads, asyncio.Event())
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([own]))
        assert await comes_true(lambda: server.started or serving.done())
        port = own.getsockname()[1]
        try:
            async with AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as client:
                yield Inside(port, parts, client, len(asyncio.all_tasks()))
        finally:
            server.should_exit = True
            await serving
