"""Jobs from the command line: doing them in a process of its own, listing the dead ones, and putting one back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from api.folding import fold_until
from api.mail import warn_if_off
from api.metrics_port import metrics_port
from api.parts import Parts, parts_of, worker_of
from api.settings import Settings
from db.rows import DeadJobRow
from domain import jobs
from storage.disk import DiskStore


async def work(settings: Settings, on_ready: Callable[[], None]) -> None:
    """Do jobs until SIGINT or SIGTERM, and give back what has not ended in time. Raises NotMigrated."""
    async with _parts(settings) as parts, _opened(parts.store):
        warn_if_off(settings)
        worker = worker_of(parts)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        stopping = asyncio.Event()
        folding = asyncio.create_task(fold_until(stopping, parts.db))
        try:
            async with metrics_port(settings, parts):
                on_ready()
                await worker.run(settings.shutdown_seconds)
        finally:
            stopping.set()
            await folding


async def dead_jobs(settings: Settings) -> list[DeadJobRow]:
    """Jobs that have been given up, the latest first. Raises NotMigrated."""
    async with _parts(settings) as parts, parts.db.reading() as rows:
        return await jobs.dead(rows)


async def retry_job(settings: Settings, job_id: UUID) -> None:
    """Have a dead job done after all. Raises NotFound, Forbidden and NotMigrated."""
    async with _parts(settings) as parts, parts.db.transaction() as tx:
        await jobs.retry(tx, job_id, parts.ports.clock.now())


@asynccontextmanager
async def _opened(store: DiskStore) -> AsyncIterator[None]:
    await store.open()
    try:
        yield
    finally:
        await store.close()


@asynccontextmanager
async def _parts(settings: Settings) -> AsyncIterator[Parts]:
    parts = parts_of(settings)
    try:
        await parts.db.check()
        parts.db.bus.open(parts.carriers)
        yield parts
    finally:
        parts.hasher.close()
        await parts.cache.close()
        await parts.db.bus.close()
        await parts.db.close()
