"""What nobody wants any more and nobody ended: bytes that no record names, and old events of uploads.

Safe beside other processes, and while uploads are under way: see `domain.orphans`.
"""

import logging
from contextlib import aclosing
from datetime import datetime, timedelta

from db import events, storage_checks
from db.engine import Database
from domain import orphans
from domain.backends import Backends
from domain.events import EventKind
from domain.storage_check_jobs import CHECK_JOB

BATCH = 500
_UPLOAD_EVENTS = (
    EventKind.UPLOAD_CREATED,
    EventKind.UPLOAD_ABORTED,
    EventKind.UPLOAD_EXPIRED,
    EventKind.UPLOAD_REJECTED,
)

_log = logging.getLogger(__name__)


async def sweep_strays(backends: Backends, grace: timedelta) -> None:
    """Remove unfinished bytes that no upload goes on with, and that nobody has touched for so long.

    They are what a process left that was killed between somebody's removal of the bytes and its own last write.
    """
    now = backends.ports.clock.now()
    async with backends.db.reading() as rows:
        if not await orphans.is_ours(rows):
            return
    async with aclosing(backends.store.incoming()) as batches:
        async for batch in batches:
            aged = [entry for entry in batch if entry.age_seconds >= grace.total_seconds()]
            for entry in await orphans.strays_among(backends, aged):
                if await orphans.remove_stray(backends, entry.key, now):
                    _log.warning("unfinished bytes of no upload were removed: %s", entry.key)


async def sweep_orphans(backends: Backends, age: timedelta, grace: timedelta) -> None:
    """Have blobs that no record names, and that nobody has touched for `age`, removed after `grace`.

    Not at once, however old they are: whoever restored an older database, or has the service run with another one,
    has until then to find out.
    """
    now = backends.ports.clock.now()
    async with backends.db.reading() as rows:
        if not await orphans.is_ours(rows):
            return
    async with aclosing(backends.store.blobs()) as batches:
        async for batch in batches:
            aged = [entry for entry in batch if entry.age_seconds >= age.total_seconds()]
            found = await orphans.orphans_among(backends, aged)
            keys = [entry.key for entry in found]
            for key in await orphans.mark_orphans(backends, keys, now, now + grace) if keys else ():
                _log.warning("bytes that no record names will be removed: %s", key)


async def sweep_upload_events(db: Database, before: datetime) -> None:
    """Remove what is remembered of how uploads went before that time, in small batches. All other events stay."""
    removed = BATCH
    while removed == BATCH:
        async with db.transaction() as tx:
            removed = await events.forget(tx, _UPLOAD_EVENTS, before, BATCH)


async def sweep_checks(db: Database, now: datetime) -> None:
    """End a check whose job was given up."""
    async with db.reading() as rows:
        under_way = await storage_checks.live(rows)
    if under_way is not None:
        async with db.transaction() as tx:
            await storage_checks.fail_abandoned(tx, CHECK_JOB, now)
