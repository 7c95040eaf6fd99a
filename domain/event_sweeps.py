"""The end of events: history goes back as far as its operator says. What was counted of it stays."""

from datetime import datetime

from db import events
from db.engine import Database
from domain.events import EventKind

BATCH = 500


async def sweep_events(db: Database, before: datetime) -> None:
    """Remove all events that happened before that time, in small batches. Safe beside other processes."""
    removed = BATCH
    while removed == BATCH:
        async with db.transaction() as tx:
            removed = await events.forget(tx, [*EventKind], before, BATCH)
