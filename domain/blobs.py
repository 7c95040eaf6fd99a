"""The end of blobs: bytes go after the row that marked them, and what a dead process left behind goes too."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from db import blobs
from db.engine import Database
from storage.store import BlobStore, StoreError

BATCH = 500
FENCE = timedelta(days=1)
"""How late a process may wake up and still find that the bytes it wanted to commit a row for are gone."""

_log = logging.getLogger(__name__)


async def remove(db: Database, store: BlobStore, keys: Sequence[str]) -> list[str]:
    """Remove the bytes of marked blobs, then their rows. What cannot be removed now is left to `sweep`; what could."""
    gone = [key for key in keys if await delete(store, key)]
    if gone:
        async with db.transaction() as tx:
            await blobs.forget(tx, gone)
    return gone


async def sweep(db: Database, store: BlobStore, now: datetime) -> None:
    """Finish interrupted purges, and settle leases whose holder is gone: bytes without a row are removed.

    Safe beside other processes. A blob that is still being received holds its lease; a holder that was only asleep
    finds its key fenced when it wakes up, so that no row ever points at bytes that were removed here.
    """
    async with db.reading() as rows:
        marked = await blobs.deleted(rows, now, BATCH)
    while marked and await remove(db, store, marked):
        async with db.reading() as rows:
            marked = await blobs.deleted(rows, now, BATCH)
    for keys in _batches(await store.expired_leases()):
        await _settle(db, store, keys, now)


async def _settle(db: Database, store: BlobStore, keys: Sequence[str], now: datetime) -> None:
    async with db.transaction() as tx:
        claimed = await blobs.existing(tx, keys)
        orphaned = [key for key in keys if key not in claimed]
        if orphaned:
            await blobs.fence(tx, orphaned, store.name, now, now + FENCE)
    for key in orphaned:
        await delete(store, key)
    for key in claimed:
        await store.release(key)


async def delete(store: BlobStore, key: str) -> bool:
    """Remove bytes that no row points at. Whether it worked: if not, it is logged, and a sweep tries again."""
    try:
        await store.delete(key)
    except StoreError:
        _log.exception("bytes could not be removed")
        return False
    return True


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
