"""Uploads of one GraphQL request that can be watched: they have a row, under an id that their client chose.

They go through the states of all uploads. Those without such an id have no row: nobody could ask about it.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Self
from uuid import UUID

from db import uploads
from db.models import UploadState, UploadTransport
from db.rows import FileRow, UploadRow
from db.violations import Duplicate
from domain import topics
from domain.backends import Backends
from domain.blobs import delete
from domain.errors import InvalidInput, Refusal
from domain.events import RequestFacts
from domain.new_files import Upload, create_files
from domain.rates import Allowance
from domain.repeated_uploads import Repeated
from domain.upload_ends import end_upload
from domain.upload_progress import ProgressTeller
from domain.upload_sessions import NewUpload, create_upload, has_ended
from domain.uploads import Admission, Received, Receiver, UploadIntent
from domain.viewer import Viewer

LIFETIME = timedelta(minutes=5)
"""How long an upload outlives its request's last sign of life: nobody can go on with it."""

NOTED_SECONDS = 60.0
"""How often its row says how far it is."""


class WatchedReceiver:
    """One upload's bytes into the store, as `domain.uploads.Receiver` takes them, with a row that tells of them."""

    def __init__(self, backends: Backends, upload: UploadRow, receiver: Receiver, facts: RequestFacts) -> None:
        self._backends = backends
        self._upload = upload
        self._receiver = receiver
        self._facts = facts
        self._progress = ProgressTeller(backends.db.bus, upload.id)
        self._size = 0
        self._noted_at: float | None = None

    @classmethod
    async def begin(
        cls,
        backends: Backends,
        brought_by: tuple[Viewer, RequestFacts],
        watched: tuple[UUID, Admission],
        allowance: Allowance,
    ) -> Self:
        """Announce the upload under its id, and open a blob for it.

        Raises what `create_upload` raises, InvalidInput for an id that is taken, RateLimited and Unavailable.
        """
        (viewer, facts), (upload_id, admission) = brought_by, watched
        new = NewUpload(UploadIntent(), UploadTransport.MULTIPART, admission.declared_size, id=upload_id)
        try:
            async with backends.db.transaction() as tx:
                upload = await create_upload(tx, backends.ports, viewer, (new, admission), facts)
        except Duplicate:
            sentence = "There is an upload with this id: choose another."
            raise InvalidInput(message=sentence, path=("uploadId",)) from None
        try:
            receiver = await Receiver.begin(backends.store, admission, allowance, upload.blob_key)
        except Refusal as refusal:
            await _end(backends, upload.id, (UploadState.REJECTED, refusal), facts)
            raise
        return cls(backends, upload, receiver, facts)

    async def write(self, data: bytes) -> None:
        """Take the next bytes. Raises what a Receiver raises, and UploadEnded when the upload was given up."""
        try:
            await self._receiver.write(data)
        except Refusal as refusal:
            await self._end(UploadState.REJECTED, refusal)
            raise
        self._size += len(data)
        self._progress.tell(self._size)
        now = asyncio.get_running_loop().time()
        if self._noted_at is None or now - self._noted_at >= NOTED_SECONDS:
            self._noted_at = now
            await self._note(UploadState.RECEIVING)

    async def finish(self) -> Received:
        """Make the bytes durable. Raises what a Receiver raises, and UploadEnded when the upload was given up."""
        try:
            received = await self._receiver.finish()
        except Refusal as refusal:
            await self._end(UploadState.REJECTED, refusal)
            raise
        await self._note(UploadState.VERIFYING)
        return replace(received, upload_id=self._upload.id, reserved=self._upload.reserved)

    async def abandon(self) -> None:
        """Remove what was stored: the request was cut off. May be called at any time, also again."""
        await self._receiver.abandon()
        await self._end(UploadState.ABORTED, None)

    async def _note(self, state: UploadState) -> None:
        now, upload = self._backends.ports.clock.now(), self._upload
        values = {"state": state, "received": self._size, "updated_at": now, "expires_at": now + LIFETIME}
        async with self._backends.db.transaction() as tx:
            is_noted = await uploads.change(tx, upload.id, uploads.GROWING, values)
            topics.tell_upload(tx, upload.id)
        if not is_noted:
            await self._receiver.abandon()
            await delete(self._backends.store, upload.blob_key)
            raise has_ended(upload._replace(state=UploadState.ABORTED))

    async def _end(self, state: UploadState, refusal: Refusal | None) -> None:
        await _end(self._backends, self._upload.id, (state, refusal), self._facts)


async def store_files(backends: Backends, upload: Upload) -> list[FileRow | Refusal]:
    """Make files of received bytes, as `create_files` does; the uploads of those that become none end, too."""
    outcomes = await create_files(backends.db, backends.store, upload)
    for arrival, outcome in zip(upload.arrivals, outcomes, strict=True):
        if not isinstance(arrival, Repeated):
            end = UploadState.REJECTED if isinstance(outcome, Refusal) else UploadState.COMMITTED
            upload.ports.meter.upload_ended(UploadTransport.MULTIPART, end)
        if isinstance(arrival, Received) and arrival.upload_id is not None:
            # Also where a file was made of the same request before, which is the answer to this one then.
            refusal = outcome if isinstance(outcome, Refusal) else None
            state = UploadState.REJECTED if refusal else UploadState.ABORTED
            await _end(backends, arrival.upload_id, (state, refusal), upload.facts)
    return outcomes


async def drop(backends: Backends, received: Received, facts: RequestFacts) -> None:
    """Remove received bytes that nobody took. Raises StoreError."""
    await backends.store.delete(received.stored.key)
    if received.upload_id is not None:
        await _end(backends, received.upload_id, (UploadState.ABORTED, None), facts)


async def _end(
    backends: Backends, upload_id: UUID, end: tuple[UploadState, Refusal | None], facts: RequestFacts
) -> None:
    async with backends.db.transaction() as tx:
        upload = await uploads.lock(tx, upload_id)
        if upload is not None and upload.state in uploads.LIVE:
            await end_upload(tx, backends.ports, upload, end, facts)
