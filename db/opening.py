"""Connections to PostgreSQL, each opened to its end even when whoever wanted one has left meanwhile.

The driver cannot be interrupted while it opens one: what is half open is left behind, and complains once it is lost.
"""

import asyncio
from typing import Any

import asyncpg


def options(connect_seconds: float, statement_seconds: float) -> dict[str, Any]:
    """How the driver is asked for connections, with how long it may take to open one and to answer a statement."""
    return {"async_creator_fn": _connect, "timeout": connect_seconds, "command_timeout": statement_seconds}


async def _connect(*arguments: object, **options: Any) -> asyncpg.Connection:  # noqa: ANN401 - whatever the driver takes
    opening = asyncio.ensure_future(asyncpg.connect(*arguments, **options))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        # Who leaves does not wait for it: a server that is away takes long to say so.
        opening.add_done_callback(_close)
        raise


def _close(opening: "asyncio.Task[asyncpg.Connection]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().terminate()
