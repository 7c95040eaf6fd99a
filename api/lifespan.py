"""The application's beginning and end, and what goes on beside requests: sweeps, and the worker if it is wanted."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta

from api.folding import fold_until
from api.logs import get_logger, tell_fault
from api.mail import warn_if_off
from api.metrics_port import metrics_port
from api.parts import Parts, worker_of
from api.settings import Settings
from domain import analytics_exports, api_keys, idempotency, mail_tokens, sessions, stream_tickets
from domain.blobs import sweep
from domain.event_sweeps import sweep_events
from domain.purges import sweep_workspaces
from domain.scrubs import request_scrub
from domain.storage_sweeps import sweep_checks, sweep_orphans, sweep_strays, sweep_upload_events
from domain.upload_sweeps import sweep_uploads

SWEEPS = "sweeps"
"""What the task is called that does them."""

SWEEP_END_SECONDS = 5
ORPHAN_SECONDS = 24 * 60 * 60
"""How often the whole store is looked through, unless orphans are given less time."""
WORKER_END_SECONDS = 5
_log = get_logger(__name__)


def lifespan_of(settings: Settings, parts: Parts) -> Callable[[object], AbstractAsyncContextManager[None]]:
    """What Starlette runs around serving. Parts are closed in the order in which they need each other."""

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing:
            closing.callback(parts.hasher.close)
            closing.push_async_callback(parts.db.close)
            if parts.redis:
                closing.push_async_callback(parts.redis.close)
            closing.push_async_callback(parts.cache.close)
            parts.db.bus.open(parts.carriers)
            closing.push_async_callback(parts.db.bus.close)
            await parts.store.open()
            closing.push_async_callback(parts.store.close)
            closing.push_async_callback(parts.recorder.close)
            closing.push_async_callback(parts.authenticator.key_uses.close)
            stopping = asyncio.Event()
            sweeps = _sweep_until(stopping, parts, settings.lease_seconds, settings.event_days)
            sweeping = asyncio.create_task(sweeps, name=SWEEPS)
            closing.push_async_callback(_end, sweeping)
            closing.callback(stopping.set)
            warn_if_off(settings)
            await closing.enter_async_context(metrics_port(settings, parts))
            if settings.worker:
                folding = asyncio.create_task(fold_until(stopping, parts.db))
                closing.push_async_callback(_end, folding)
                closing.callback(stopping.set)
                worker = worker_of(parts)
                working = asyncio.create_task(worker.run(WORKER_END_SECONDS))
                closing.push_async_callback(asyncio.wait, {working})
                closing.callback(worker.stop)
            yield

    return lifespan


async def _sweep_until(stopping: asyncio.Event, parts: Parts, lease_seconds: float, event_days: int) -> None:
    next_at = 0.0
    while not stopping.is_set():
        now = parts.ports.clock.now()
        await _attempted(sweep_uploads(parts.backends, parts.ports.clock.now()))
        await _attempted(sweep_workspaces(parts.backends))
        await _attempted(sweep(parts.db, parts.store, parts.ports.clock.now()))
        await _attempted(sessions.sweep(parts.db, parts.ports.clock.now()))
        await _attempted(stream_tickets.sweep(parts.db, parts.ports.clock.now()))
        await _attempted(api_keys.sweep(parts.db, parts.ports.clock.now()))
        await _attempted(mail_tokens.sweep(parts.db, parts.ports.clock.now()))
        await _attempted(idempotency.sweep(parts.db, parts.ports.clock.now()))
        await _attempted(sweep_checks(parts.db, now))
        await _attempted(analytics_exports.sweep(parts.db, parts.ports.clock.now()))
        await _attempted(sweep_upload_events(parts.db, now - parts.storage_policy.upload_events))
        await _attempted(sweep_strays(parts.backends, timedelta(seconds=lease_seconds)))
        if time.monotonic() >= next_at:
            grace = parts.storage_policy.orphan_grace
            next_at = time.monotonic() + min(grace.total_seconds(), ORPHAN_SECONDS)
            await _attempted(sweep_orphans(parts.backends, timedelta(seconds=lease_seconds), grace))
        await _attempted(request_scrub(parts.backends, parts.storage_policy))
        if event_days:
            await _attempted(sweep_events(parts.db, now - timedelta(days=event_days)))
        with suppress(TimeoutError):
            async with asyncio.timeout(lease_seconds):
                await stopping.wait()


async def _attempted(sweeping: Awaitable[None]) -> None:
    try:
        await sweeping
    except Exception as fault:  # noqa: BLE001 - whatever it is, the next round may do better
        tell_fault(_log, "sweep failed", fault)


async def _end(task: asyncio.Task[None]) -> None:
    # Cancelled only when it takes too long: a connection that is being opened just then is lost without being closed.
    await asyncio.wait({task}, timeout=SWEEP_END_SECONDS)
    task.cancel()
    await asyncio.wait({task}, timeout=SWEEP_END_SECONDS)
