"""Running an ASGI application in the test's own process, between its start and its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message

SCOPE = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[None]:
    """Start the application as a server does, and end it after the block."""
    asked: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    life = asyncio.ensure_future(app({**SCOPE, "state": {}}, asked.get, told.put))
    await _pass(asked, told, life, "startup")
    try:
        yield
    finally:
        await _pass(asked, told, life, "shutdown")
        await life


async def _pass(
    asked: asyncio.Queue[Message], told: asyncio.Queue[Message], life: asyncio.Future[None], stage: str
) -> None:
    await asked.put({"type": f"lifespan.{stage}"})
    answer = asyncio.create_task(told.get())
    first: set[asyncio.Future[Any]] = {life, answer}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        life.result()
    message = answer.result()
    assert message["type"] == f"lifespan.{stage}.complete", message.get("message")
