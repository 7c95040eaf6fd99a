"""What the server's connections can do besides ASGI, as an extension of it: tests without a server have none of it."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from starlette.types import Scope

CONNECTION: Final = "cairn.connection"
"""The extension: `abort()` drops a connection with what is unsent in it, `is_writable()` says whether it takes a
message without making it wait, `stopping` is an event that is set once the service stops."""


def is_writable_of(scope: Scope) -> Callable[[], bool]:
    """Whether the connection takes a message at once."""
    found: Callable[[], bool] = _extension(scope).get("is_writable", _never)
    return found


def stopping_of(scope: Scope) -> asyncio.Event:
    """What is set once the service stops: whatever has no end of its own ends then."""
    found: asyncio.Event = _extension(scope).get("stopping") or asyncio.Event()
    return found


async def abort(scope: Scope) -> None:
    """Drop the connection. Closing would wait for the reader to take what is in the buffer."""
    drop = _extension(scope).get("abort")
    if drop is not None:
        drop()
        await asyncio.sleep(0)  # the server learns of it before it wonders why the answer is incomplete


def _extension(scope: Scope) -> dict[str, Any]:
    found: dict[str, Any] = (scope.get("extensions") or {}).get(CONNECTION, {})
    return found


def _never() -> bool:
    return False
