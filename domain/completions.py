"""The end of uploads that become files: verified, inspected and committed as `uploadFile` does it.

What has to be read again and is too large for that is verified by a job, while the upload is VERIFYING. So is what was
cut short: an upload that stays VERIFYING is found by the sweep.
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from db import uploads
from db.engine import Transaction
from db.models import UploadState, UploadTransport
from db.rows import JobRow, UploadRow
from domain import topics
from domain.backends import Backends
from domain.errors import InvalidInput, Refusal
from domain.events import RequestFacts
from domain.jobs import NewJob, enqueue
from domain.media import HEAD_BYTES
from domain.new_files import Upload, create_files
from domain.upload_ends import end_upload, remove_bytes
from domain.upload_errors import UploadIncomplete
from domain.upload_sessions import has_ended, part_count, require_writable
from domain.uploads import Admission, Received, Replaced, mismatch, unavailable
from domain.viewer import Viewer
from storage.store import ResumableStore, StoreBusy, Stored, StoreError, WrongPosition

VERIFY_JOB = "upload.verify"

_MOMENTS: Final = (0.01, 0.05, 0.25)
"""Seconds between attempts to have the bytes of an upload alone: whoever still has them then is reading them."""


async def complete_upload(backends: Backends, viewer: Viewer, upload: UploadRow, facts: RequestFacts) -> UploadRow:
    """Make a file of an upload whose bytes have all come. Once it has become one, that is the answer ever after.

    The answer is VERIFYING while a job, or another request, has still to read the bytes, and REJECTED with its refusal
    when they are not what was announced. Raises InvalidInput, UploadIncomplete, UploadEnded and Unavailable.
    """
    if upload.transport == UploadTransport.MULTIPART:
        raise InvalidInput(message="An upload of one GraphQL request completes by itself.", path=("id",))
    if upload.is_partial:
        raise InvalidInput(message="A partial upload becomes a file when it is joined with others.", path=("id",))
    if upload.state in {UploadState.COMMITTED, UploadState.REJECTED, UploadState.VERIFYING}:
        return upload
    if upload.state not in uploads.GROWING:
        raise has_ended(upload)
    size = await _whole_size(backends, upload)
    is_quick = size <= backends.ports.upload_sessions.verified_at_once_bytes
    is_quick = is_quick or backends.store.is_summed(upload.blob_key, size)
    async with backends.db.transaction() as tx:
        claimed = await _claim(tx, upload, size, backends.ports.clock.now())
        if claimed is None:
            found = await uploads.lock(tx, upload.id)
            return require_writable(found)
        if not is_quick:
            await request_verification(tx, claimed, facts)
    return await _verify_at_once(backends, viewer, claimed, facts) if is_quick else claimed


async def verify(backends: Backends, viewer: Viewer, upload: UploadRow, facts: RequestFacts) -> UploadRow:
    """Read, judge and commit an upload that is VERIFYING. Raises Unavailable, and then it may be completed again."""
    try:
        arrival = await _arrival(backends, upload)
    except StoreBusy:
        return upload  # somebody else is reading it
    except StoreError as error:
        # What the disk has lost can be sent again; what it cannot do now, it may do later.
        await _reopen(backends, upload, error.reach if isinstance(error, WrongPosition) else upload.received)
        raise unavailable(error) from error
    [outcome] = await create_files(backends.db, backends.store, Upload(backends.ports, viewer, facts, [arrival]))
    if not isinstance(outcome, Refusal):
        backends.ports.meter.upload_ended(upload.transport, UploadState.COMMITTED)
    async with backends.db.transaction() as tx:
        found = await uploads.lock(tx, upload.id)
        if found is None or not isinstance(outcome, Refusal) or found.state != UploadState.VERIFYING:
            return found or upload
        ended = await end_upload(tx, backends.ports, found, (UploadState.REJECTED, outcome), facts)
    await remove_bytes(backends.db, backends.store, ended)
    return ended


async def verify_by_job(backends: Backends, job: JobRow) -> None:
    """The job that verifies what is too large for a request. In the name of whoever made the upload."""
    given = job.payload or {}
    async with backends.db.reading() as rows:
        upload = await uploads.lent(rows, UUID(given["uploadId"]))
    # Whoever is gone, or may not any more, leaves the upload to the sweep.
    if upload is not None and upload.state == UploadState.VERIFYING:
        facts = RequestFacts(given.get("requestId"), given.get("address"))
        await verify(backends, Viewer(upload.created_by_id), upload, facts)


async def request_verification(tx: Transaction, upload: UploadRow, facts: RequestFacts) -> None:
    """Have a job verify an upload that is VERIFYING, unless one does already."""
    payload = {"uploadId": upload.id.hex, "requestId": facts.request_id, "address": facts.address}
    await enqueue(tx, NewJob(VERIFY_JOB, payload, upload.updated_at, dedup_key=upload.id.hex))


async def _whole_size(backends: Backends, upload: UploadRow) -> int:
    """How many bytes the upload has, if all are there. Raises UploadIncomplete."""
    size = upload.received if upload.size is None else upload.size
    if upload.transport == UploadTransport.PARTS and upload.part_size is not None:
        async with backends.db.reading() as rows:
            there = await uploads.parts_of(rows, upload.id)
        is_whole = len(there) == part_count(size, upload.part_size)
    else:
        is_whole = upload.received == size
    if not is_whole:
        sentence = f"{upload.received} of {size} bytes have come."
        raise UploadIncomplete(message=sentence, received=upload.received, size=size)
    return size


async def _claim(tx: Transaction, upload: UploadRow, size: int, now: datetime) -> UploadRow | None:
    """Take the upload for verification, unless somebody else did or it has ended."""
    changed: dict[str, Any] = {"state": UploadState.VERIFYING, "size": size, "updated_at": now}
    taken = await uploads.change(tx, upload.id, uploads.GROWING, changed)
    topics.tell_upload(tx, upload.id)
    return upload._replace(**changed) if taken else None


async def _verify_at_once(backends: Backends, viewer: Viewer, upload: UploadRow, facts: RequestFacts) -> UploadRow:
    try:
        return await verify(backends, viewer, upload, facts)
    except Refusal:
        raise
    except Exception:
        # The database, most likely. Where the rows were committed all the same, the upload is VERIFYING no more.
        await _reopen(backends, upload, upload.received)
        raise


async def _reopen(backends: Backends, upload: UploadRow, received: int) -> None:
    changed = {"state": UploadState.RECEIVING, "received": received, "updated_at": backends.ports.clock.now()}
    async with backends.db.transaction() as tx:
        await uploads.change(tx, upload.id, [UploadState.VERIFYING], changed)
        topics.tell_upload(tx, upload.id)


async def _arrival(backends: Backends, upload: UploadRow) -> Received | Refusal:
    store, size = backends.store, upload.size or 0
    stored = await _finished(store, upload.blob_key, size)
    if upload.digest is not None and upload.digest != stored.digest:
        return mismatch(upload.digest, stored.digest)
    head = await store.first_bytes(upload.blob_key, HEAD_BYTES)
    return Received(_admission(backends, upload), stored, head, reserved=upload.reserved, upload_id=upload.id)


async def _finished(store: ResumableStore, key: str, size: int) -> Stored:
    # Whoever asks how far an upload is, or comes too late with more of it, has its bytes for a moment.
    for pause in _MOMENTS:
        with suppress(StoreBusy):
            return await store.finish(key, size)
        await asyncio.sleep(pause)
    return await store.finish(key, size)


def _admission(backends: Backends, upload: UploadRow) -> Admission:
    return Admission(
        workspace_id=upload.workspace_id,
        name=upload.name,
        declared_media_type=upload.declared_media_type,
        digest=upload.digest,
        limit=backends.ports.policy.maximum_file_bytes,
        declared_size=upload.size,
        replaces=Replaced(upload.replaces_id, upload.replaces_revision) if upload.replaces_id else None,
    )
