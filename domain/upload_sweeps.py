"""What becomes of uploads that nobody ends: they expire, are verified after all, and are forgotten in the end."""

from datetime import datetime, timedelta
from uuid import UUID

from db import uploads
from db.engine import Transaction
from db.models import UploadState, UploadTransport
from db.rows import UploadRow
from domain.backends import Backends
from domain.completions import request_verification
from domain.events import RequestFacts
from domain.upload_ends import end_upload, remove_bytes

BATCH = 100
STUCK_AFTER = timedelta(minutes=5)
"""How long an upload may be under verification before its process is taken for dead. Verifying twice does no harm."""


async def sweep_uploads(backends: Backends, now: datetime) -> None:
    """Expire what is overdue, verify what is stuck, and forget what ended long ago. Safe beside other processes."""
    async with backends.db.reading() as rows:
        waiting = await uploads.overdue(rows, now, BATCH)
    while waiting:
        for upload_id in waiting:
            await expire(backends, upload_id, now)
        async with backends.db.reading() as rows:
            waiting = await uploads.overdue(rows, now, BATCH)
    async with backends.db.reading() as rows:
        stuck = await uploads.stuck(rows, now - STUCK_AFTER, BATCH)
    for upload_id in stuck:
        await verify_after_all(backends, upload_id, now - STUCK_AFTER)
    async with backends.db.transaction() as tx:
        await uploads.forget_ended(tx, now - backends.ports.upload_sessions.memory)


async def expire(backends: Backends, upload_id: UUID, now: datetime) -> bool:
    """End an upload whose time is over by now. Whether it was."""
    async with backends.db.transaction() as tx:
        upload = await uploads.lock(tx, upload_id)
        # Bytes may have come since it was found.
        if upload is None or upload.state not in uploads.GROWING or upload.expires_at > now:
            return False
        ended = await _ended(tx, backends, upload)
    await remove_bytes(backends.db, backends.store, ended)
    return True


async def verify_after_all(backends: Backends, upload_id: UUID, before: datetime) -> bool:
    """Have an upload verified that has been under verification since before that time, or end it. Whether it was."""
    ended = None
    async with backends.db.transaction() as tx:
        upload = await uploads.lock(tx, upload_id)
        if upload is None or upload.state != UploadState.VERIFYING or upload.updated_at > before:
            return False
        # Of those of one request nobody was told: they are not to become files after all.
        if upload.viewer_role is None or upload.transport == UploadTransport.MULTIPART:
            ended = await _ended(tx, backends, upload)
        else:
            await request_verification(tx, upload, RequestFacts())
    if ended is not None:
        await remove_bytes(backends.db, backends.store, ended)
    return True


async def _ended(tx: Transaction, backends: Backends, upload: UploadRow) -> UploadRow:
    return await end_upload(tx, backends.ports, upload, (UploadState.EXPIRED, None), RequestFacts())
