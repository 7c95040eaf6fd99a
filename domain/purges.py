"""What is left of deleted workspaces: their files are purged in batches, each in a transaction of its own.

A workspace is taken from everybody at once, whatever lies in it; removing that takes as long as it takes, and is
finished by the next sweep where it was cut short.
"""

from uuid import UUID

from db import files, quotas, uploads, workspaces
from db.engine import Transaction
from db.models import Event, UploadState
from domain import ledger
from domain.backends import Backends
from domain.blobs import remove
from domain.events import EventKind, RequestFacts, Subject, event_values
from domain.ports import Ports
from domain.removals import remove_files
from domain.upload_ends import close_upload

BATCH = 500
BATCHES_AT_ONCE = 10
"""How much of a deleted workspace is purged while its owner waits for the answer."""


async def begin(backends: Backends, workspace_id: UUID) -> None:
    """Purge what lies in a deleted workspace; all of it, unless that is thousands of files."""
    for _ in range(BATCHES_AT_ONCE):
        if not await _purge_some(backends, workspace_id):
            return


async def sweep_workspaces(backends: Backends) -> None:
    """Purge what lies in all deleted workspaces. Safe beside other processes: what one purged is gone for the other."""
    async with backends.db.reading() as rows:
        waiting = await workspaces.deleted(rows, BATCH)
    for workspace_id in waiting:
        while await _purge_some(backends, workspace_id):
            pass


async def _purge_some(backends: Backends, workspace_id: UUID) -> bool:
    """Purge a batch of files, else of uploads, else the workspace itself. Whether there may be more."""
    db, store, ports = backends.db, backends.store, backends.ports
    async with db.transaction() as tx:
        sizes = await files.sizes_in(tx, workspace_id, BATCH)
        if sizes:
            keys = await _purge(tx, ports, workspace_id, sizes)
        else:
            keys = await _abort_uploads(tx, ports, workspace_id)
        if not sizes and not keys:
            await uploads.forget_in(tx, workspace_id)
            await quotas.forget(tx, workspace_id)
            await workspaces.forget(tx, workspace_id)
            return False
    await remove(db, store, keys)
    return True


async def _purge(tx: Transaction, ports: Ports, workspace_id: UUID, sizes: dict[UUID, int]) -> list[str]:
    now = ports.clock.now()
    # Nobody's act: the one that they follow from has an event of its own, with its actor.
    subjects = [Subject(workspace_id=workspace_id, target_id=file_id, size=size) for file_id, size in sizes.items()]
    values = [event_values(EventKind.FILE_PURGED, subject, RequestFacts(), now) for subject in subjects]
    removed = await remove_files(tx, list(sizes), now)
    told = [value for value in values if value["target_id"] in removed.file_ids]
    if told:
        await tx.insert(Event, told)
    await ledger.post(tx, ports.workspace_policy, removed.changes)
    return removed.blob_keys


async def _abort_uploads(tx: Transaction, ports: Ports, workspace_id: UUID) -> list[str]:
    ended, given_back = [], []
    for upload_id in await uploads.live_in(tx, workspace_id, BATCH):
        upload = await uploads.lock(tx, upload_id)
        if upload is not None and upload.state in uploads.LIVE:
            end = UploadState.ABORTED, None
            closed, change = await close_upload(tx, ports, upload, end, RequestFacts())
            ended.append(closed)
            given_back.append(change)
    await ledger.post(tx, ports.workspace_policy, given_back)
    return [upload.blob_key for upload in ended]
