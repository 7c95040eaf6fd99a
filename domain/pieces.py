"""What a request can bring of an upload: a piece that goes on where the last one ended, all of it, or one part."""

from datetime import datetime
from typing import Any

from db import uploads
from db.models import UploadPart, UploadState, UploadTransport
from db.rows import UploadRow
from domain import topics
from domain.backends import Backends
from domain.blobs import delete
from domain.errors import InvalidInput, Refusal
from domain.receptions import Reception, Span
from domain.upload_errors import TargetUsed, UploadIncomplete
from domain.upload_sessions import has_ended, part_range
from domain.uploads import unavailable
from storage.store import PartialWriter, StoreError, WrongPosition

_WITHOUT_FILE = {UploadState.ABORTED, UploadState.EXPIRED, UploadState.REJECTED}


class Piece(Reception):
    """The next bytes of a tus upload. Those that came are kept, however the request ends."""

    def __init__(self, backends: Backends, upload: UploadRow, position: int, length: int | None) -> None:
        require_transport(upload, UploadTransport.TUS)
        limit = backends.ports.policy.maximum_file_bytes if upload.size is None else upload.size
        super().__init__(backends, upload, Span(position, length, limit))

    async def begin_writing(self) -> PartialWriter:
        """Where the bytes before end, and nobody else writes."""
        return await self.backends.store.extend(self.upload.blob_key, self.span.position, self.upload.received)

    async def note(self, reach: int) -> UploadRow:
        """How far the upload has come."""
        return await note_reach(self.backends, self.upload, reach)

    async def note_cut(self, reach: int) -> None:
        """What came is kept, and is where the next piece goes on."""
        await self.note(reach)


class Whole(Reception):
    """All bytes of an upload in one request, once: what does not come whole has not come."""

    def __init__(self, backends: Backends, upload: UploadRow, length: int | None) -> None:
        require_transport(upload, UploadTransport.SINGLE_PUT)
        size = upload.size or 0
        super().__init__(backends, upload, Span(0, length, size))
        if upload.state == UploadState.RECEIVING:
            raise TargetUsed

    async def begin_writing(self) -> PartialWriter:
        """From the beginning: what an earlier request left that was killed half-way is nothing anybody was told of."""
        key, store = self.upload.blob_key, self.backends.store
        try:
            return await store.extend(key, 0)
        except WrongPosition:
            await store.delete(key)
            return await store.extend(key, 0)

    async def note(self, reach: int) -> UploadRow:
        """That all of it has come, or that it can be sent anew."""
        if reach == self.span.limit:
            return await note_reach(self.backends, self.upload, reach)
        await self.note_cut(reach)
        raise _incomplete(reach, self.span.limit)

    async def note_cut(self, _reach: int) -> None:
        """It can be sent anew, from its beginning."""
        self.progress.tell_loss()
        try:
            await self.backends.store.delete(self.upload.blob_key)
        except StoreError as error:
            raise unavailable(error) from error


class Part(Reception):
    """One part of an upload, once: what does not come whole has not come. Parts come in any order, also together."""

    def __init__(self, backends: Backends, upload: UploadRow, number: int, length: int | None) -> None:
        require_transport(upload, UploadTransport.PARTS)
        begin, size = part_range(upload, number)
        super().__init__(backends, upload, Span(begin, length, begin + size))
        self._number = number
        self._size = size

    async def begin_writing(self) -> PartialWriter:
        """At the part's own place."""
        async with self.backends.db.reading() as rows:
            there = await uploads.parts_of(rows, self.upload.id)
        if self._number in there:
            raise TargetUsed
        return await self.backends.store.place(self.upload.blob_key, self.span.position, self._size)

    async def note(self, reach: int) -> UploadRow:
        """That the part has come."""
        if reach < self.span.limit:
            raise _incomplete(reach - self.span.position, self._size)
        upload, now = self.upload, self.backends.ports.clock.now()
        part = UploadPart(upload_id=upload.id, number=self._number, size=self._size, created_at=now)
        async with self.backends.db.transaction() as tx:
            locked = await uploads.lock(tx, upload.id)
            if locked is not None and locked.state in uploads.GROWING:
                if not await uploads.add_part(tx, part):
                    raise TargetUsed
                received = locked.received + self._size
                changed: dict[str, Any] = {"state": UploadState.RECEIVING, "received": received}
                changed |= _times(self.backends, now)
                await uploads.change(tx, upload.id, uploads.GROWING, changed)
                topics.tell_upload(tx, upload.id)
                return locked._replace(**changed)
        raise await _ended(self.backends, locked or upload)

    async def note_cut(self, _reach: int) -> None:
        """It can be sent anew, to the same place."""

    def tell_progress(self) -> None:
        """Parts come in any order, and others beside them: each is told of once it has come."""


async def reach_of(backends: Backends, upload: UploadRow) -> int:
    """How far a tus upload has come, noted or not: what is told here is durable. Raises Unavailable."""
    try:
        return await backends.store.reach(upload.blob_key, upload.received)
    except StoreError as error:
        raise unavailable(error) from error


def require_transport(upload: UploadRow, transport: UploadTransport) -> None:
    """Do nothing for an upload whose bytes come this way. Raises InvalidInput."""
    if upload.transport != transport:
        raise InvalidInput(message=f"The bytes of this upload come by {upload.transport}, not by {transport}.")


async def note_reach(backends: Backends, upload: UploadRow, reach: int) -> UploadRow:
    """Have an upload know that its bytes are durable up to here. Raises UploadEnded."""
    times = _times(backends, backends.ports.clock.now())
    async with backends.db.transaction() as tx:
        is_noted = await uploads.note_received(tx, upload.id, reach, times)
        topics.tell_upload(tx, upload.id)
        found = await uploads.lock(tx, upload.id) or upload
    if not is_noted:
        raise await _ended(backends, found)
    return found


async def _ended(backends: Backends, upload: UploadRow) -> Refusal:
    """The refusal of bytes that came too late. They may have come after the others were removed."""
    if upload.state in _WITHOUT_FILE:
        await delete(backends.store, upload.blob_key)
    return has_ended(upload)


def _times(backends: Backends, now: datetime) -> dict[str, datetime]:
    return {"updated_at": now, "expires_at": now + backends.ports.upload_sessions.lifetime}


def _incomplete(received: int, size: int) -> Refusal:
    return UploadIncomplete(message=f"{received} of {size} bytes came: send them anew.", received=received, size=size)
