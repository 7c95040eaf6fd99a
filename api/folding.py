"""Has deltas folded every few seconds, wherever jobs are done, so that few wait when something is asked."""

import asyncio
from contextlib import suppress

from api.logs import get_logger, tell_fault
from db.engine import Database
from domain.analytics_folding import fold

FOLD_SECONDS = 5.0

_log = get_logger(__name__)


async def fold_until(stopping: asyncio.Event, db: Database, pause_seconds: float = FOLD_SECONDS) -> None:
    """Fold again and again until `stopping` is set. What fails is logged, and tried again."""
    while not stopping.is_set():
        try:
            await fold(db)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the next time may do better
            tell_fault(_log, "deltas could not be folded", fault)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await stopping.wait()
