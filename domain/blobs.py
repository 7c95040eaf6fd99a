"""The end of blobs: bytes go after the row that marked them, and what a dead process left behind goes too."""

from collections.abc import Sequence

from db import blobs
from db.engine import Database
from storage.store import BlobStore

BATCH = 500


async def remove(db: Database, store: BlobStore, keys: Sequence[str]) -> None:
    """Remove the bytes of marked blobs, then their rows. Cut short, `sweep` does the rest."""
    for key in keys:
        await store.delete(key)
    if keys:
        async with db.transaction() as tx:
            await blobs.forget(tx, keys)


async def sweep(db: Database, store: BlobStore) -> None:
    """Finish interrupted purges, and settle leases whose holder is gone: bytes without a row are removed.

    Safe beside other processes: a blob that is still being received holds its lease.
    """
    while marked := await _marked(db):
        await remove(db, store, marked)
    expired = await store.expired_leases()
    for start in range(0, len(expired), BATCH):
        keys = expired[start : start + BATCH]
        async with db.reading() as rows:
            claimed = await blobs.existing(rows, keys)
        for key in keys:
            await (store.release(key) if key in claimed else store.delete(key))


async def _marked(db: Database) -> list[str]:
    async with db.reading() as rows:
        return await blobs.deleted(rows, BATCH)
