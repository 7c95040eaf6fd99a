"""What is left of deleted workspaces: their files are purged in batches, each in a transaction of its own.

A workspace is taken from everybody at once, whatever lies in it; removing that takes as long as it takes, and is
finished by the next sweep where it was cut short.
"""

from datetime import datetime
from uuid import UUID

from db import blobs, files, workspaces
from db.engine import Database, Transaction
from db.models import Event
from domain.blobs import remove
from domain.events import EventKind, RequestFacts, Subject, event_values
from storage.store import BlobStore

BATCH = 500
BATCHES_AT_ONCE = 10
"""How much of a deleted workspace is purged while its owner waits for the answer."""


async def begin(db: Database, store: BlobStore, workspace_id: UUID, now: datetime) -> None:
    """Purge what lies in a deleted workspace; all of it, unless that is thousands of files."""
    for _ in range(BATCHES_AT_ONCE):
        if not await _purge_some(db, store, workspace_id, now):
            return


async def sweep_workspaces(db: Database, store: BlobStore, now: datetime) -> None:
    """Purge what lies in all deleted workspaces. Safe beside other processes: what one purged is gone for the other."""
    async with db.reading() as rows:
        waiting = await workspaces.deleted(rows, BATCH)
    for workspace_id in waiting:
        while await _purge_some(db, store, workspace_id, now):
            pass


async def _purge_some(db: Database, store: BlobStore, workspace_id: UUID, now: datetime) -> bool:
    """Purge a batch of files, or remove the workspace when there are none. Whether there may be more."""
    async with db.transaction() as tx:
        sizes = await files.sizes_in(tx, workspace_id, BATCH)
        if not sizes:
            await workspaces.forget(tx, workspace_id)
            return False
        keys = await _purge(tx, workspace_id, sizes, now)
    await remove(db, store, keys)
    return True


async def _purge(tx: Transaction, workspace_id: UUID, sizes: dict[UUID, int], now: datetime) -> list[str]:
    keys, gone = await files.purge(tx, list(sizes))
    await blobs.mark_deleted(tx, keys, now)
    # Nobody's act: the one that they follow from has an event of its own, with its actor.
    subjects = [Subject(workspace_id=workspace_id, target_id=file_id, size=sizes[file_id]) for file_id in gone]
    if subjects:
        values = [event_values(EventKind.FILE_PURGED, subject, RequestFacts(), now) for subject in subjects]
        await tx.insert(Event, values)
    return keys
