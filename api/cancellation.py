"""Work that comes to its end although whoever waits for it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def despite_cancellation(work: Coroutine[Any, Any, Result]) -> Result:
    """What the work gives, once it is done; cancelled meanwhile, that is raised then."""
    task = asyncio.create_task(work)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as caught:
            cancellation = caught
        except Exception:  # noqa: BLE001 - the result raises it
            break
    if cancellation is not None:
        raise cancellation
    return task.result()
