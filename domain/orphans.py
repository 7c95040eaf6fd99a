"""Bytes that nobody wants: no record names them, and nobody is about to write one."""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime

from db import blobs, uploads
from db.engine import Database, Rows
from db.violations import Duplicate
from domain.backends import Backends
from domain.blobs import FENCE, delete
from storage.store import Entry, StoreError

_log = logging.getLogger(__name__)


async def orphans_among(backends: Backends, entries: Collection[Entry]) -> list[Entry]:
    """Those of the blobs that no record names, and that are in flight nowhere."""
    free = await _not_in_flight(backends, entries)
    async with backends.db.reading() as rows:
        claimed = await _claimed(rows, [entry.key for entry in free])
    # Measured last: who purges a file removes its bytes before the record, and they were listed before both.
    unclaimed = [entry for entry in free if entry.key not in claimed]
    return [entry for entry in unclaimed if await backends.store.measure(entry.key) is not None]


async def strays_among(backends: Backends, entries: Collection[Entry]) -> list[Entry]:
    """Those of the unfinished bytes that no upload goes on with, and that are in flight nowhere."""
    free = await _not_in_flight(backends, entries)
    async with backends.db.reading() as rows:
        growing = await uploads.live_keys(rows, [entry.key for entry in free])
    # Looked at last: an upload that has ended since they were listed has finished or removed them by then.
    unwanted = {entry.key for entry in free} - growing
    left = await backends.store.unfinished(unwanted)
    return [entry for entry in free if entry.key in left]


async def is_ours(rows: Rows) -> bool:
    """Whether the database knows of bytes at all. If not it is new, or another store's: then it has no say in them."""
    return await blobs.are_any_wanted(rows)


async def mark_orphans(backends: Backends, keys: Sequence[str], now: datetime, until: datetime) -> list[str]:
    """Have blobs that no record names removed after that time, by `domain.blobs.sweep`; those that still had none."""
    try:
        async with backends.db.transaction() as tx:
            claimed = await _claimed(tx, keys)
            orphaned = [key for key in keys if key not in claimed]
            if orphaned:
                await blobs.fence(tx, orphaned, backends.store.name, now, until)
    except Duplicate:
        return []  # one of them is claimed in this very moment: the next sweep sees to the others
    return orphaned


async def remove_orphan(backends: Backends, key: str, now: datetime) -> bool:
    """Remove bytes that no record names, unless one does meanwhile; none can be written for them then. Whether it did.

    Safe beside other processes, for the reason in `domain.blobs.sweep`.
    """
    return await _is_fenced(backends.db, backends.store.name, key, now) and await delete(backends.store, key)


async def remove_stray(backends: Backends, key: str, now: datetime) -> bool:
    """Remove unfinished bytes that no upload goes on with. A blob under the same key stays. Whether it did."""
    if await _is_fenced(backends.db, backends.store.name, key, now):
        return await delete(backends.store, key)
    try:
        await backends.store.discard(key)
    except StoreError:
        _log.exception("bytes could not be removed")
        return False
    return True


async def _is_fenced(db: Database, store: str, key: str, now: datetime) -> bool:
    try:
        async with db.transaction() as tx:
            if await _claimed(tx, [key]):
                return False
            await blobs.fence(tx, [key], store, now, now + FENCE)
    except Duplicate:
        return False
    return True


async def _claimed(rows: Rows, keys: Sequence[str]) -> set[str]:
    # In this order: an upload ends in the transaction that writes the record, or that marks its bytes.
    growing = await uploads.live_keys(rows, keys)
    return growing | await blobs.existing(rows, keys)


async def _not_in_flight(backends: Backends, entries: Collection[Entry]) -> list[Entry]:
    # Asked before the records: who has written one gives the lease up only after that.
    leased = await backends.store.leased([entry.key for entry in entries])
    return [entry for entry in entries if entry.key not in leased]
