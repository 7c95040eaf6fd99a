"""Bytes that come for an upload in a request of their own: against every limit, and into the store.

What kind of request it is, and what its end means for the upload, is for `domain.pieces`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

from db import uploads
from db.rows import UploadRow
from domain import ledger
from domain.backends import Backends
from domain.errors import Refusal, Unavailable
from domain.ledger import Change
from domain.rates import Allowance
from domain.upload_errors import OffsetMismatch, QuotaExceeded, UploadBusy, UploadTooLong
from domain.upload_progress import ProgressTeller
from domain.upload_sessions import has_ended
from domain.uploads import too_large, unavailable
from domain.viewer import Viewer
from storage.store import PartialWriter, StoreBusy, StoreError, WrongPosition

RESERVED_AT_ONCE = 64 << 20
"""What is held back for an upload of unknown size whenever it needs more, as far as there is room."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a request's bytes belong: from `position`, `length` of them if it says so, and none from `limit` on."""

    position: int
    length: int | None
    limit: int


class Reception(ABC):
    """One request's bytes on their way in: `open`, `write` as often as something comes, then `end` or `cut`."""

    def __init__(self, backends: Backends, upload: UploadRow, span: Span) -> None:
        self.backends = backends
        self.upload = upload
        self.span = span
        self.position = span.position
        self._reserved = upload.reserved
        self.progress = ProgressTeller(backends.db.bus, upload.id)
        self._allowance = Allowance(backends.ports, Viewer(upload.created_by_id))
        self._writer: PartialWriter

    async def open(self) -> Self:
        """Judge what can be judged before a byte, and let bytes come. Where it raises, nothing else is to be called.

        Raises UploadEnded, OffsetMismatch, UploadBusy, UploadTooLong, FileTooLarge, QuotaExceeded, RateLimited,
        TargetUsed and Unavailable.
        """
        if self.upload.state not in uploads.GROWING:
            raise has_ended(self.upload)
        end = self.position + (self.span.length or 0)
        self._judge_end(end)
        await self._reserve(end)
        await self._allowance.begin(self.span.length)
        try:
            self._writer = await self.begin_writing()
        except StoreError as error:
            await self._allowance.abandon(0)
            raise _refusal(error) from error
        return self

    async def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises UploadTooLong, FileTooLarge, QuotaExceeded, RateLimited, UploadEnded and Unavailable.
        """
        end = self.position + len(data)
        self._judge_end(end)
        await self._allowance.grow(end - self.span.position)
        await self._reserve(end)
        try:
            await self._writer.write(data)
        except StoreError as error:
            raise unavailable(error) from error
        self.position = end
        self.tell_progress()

    async def end(self) -> UploadRow:
        """The request came to its end: make its bytes durable, and have the upload know of them.

        Raises UploadEnded, UploadIncomplete, TargetUsed and Unavailable.
        """
        reach = await self._close()
        if reach < self.position:
            await self.note_cut(reach)
            raise Unavailable(message="The service cannot store all of it at present.")
        return await self.note(reach)

    async def cut(self) -> None:
        """The request did not come to its end. Raises what `end` raises."""
        await self.note_cut(await self._close())

    async def discard(self) -> None:
        """Forget what this request brought. Raises what `end` raises."""
        await self.note_cut(await self._close(self.span.position))

    def tell_progress(self) -> None:
        """Have those know who watch how far the upload is."""
        self.progress.tell(self.position)

    @abstractmethod
    async def begin_writing(self) -> PartialWriter:
        """The writer that the bytes go to. Raises StoreError."""
        ...

    @abstractmethod
    async def note(self, reach: int) -> UploadRow:
        """Have the upload know that its bytes are durable up to here. Raises what `end` raises."""
        ...

    @abstractmethod
    async def note_cut(self, reach: int) -> None:
        """The same, where more was to come. Raises what `end` raises."""
        ...

    async def _close(self, keep: int | None = None) -> int:
        await self._allowance.abandon(self.position - self.span.position)
        try:
            return await self._writer.close(keep)
        except StoreError as error:
            raise unavailable(error) from error

    def _judge_end(self, end: int) -> None:
        if end <= self.span.limit:
            return
        if self.upload.size is None:
            raise too_large(self.span.limit)
        sentence = f"The upload was announced with {self.upload.size} bytes."
        raise UploadTooLong(message=sentence, size=self.upload.size)

    async def _reserve(self, end: int) -> None:
        """Hold back what an upload of unknown size needs up to `end`, and some more where there is room."""
        if self.upload.size is not None or end <= self._reserved:
            return
        try:
            await self._reserve_up_to(max(end, min(self._reserved + RESERVED_AT_ONCE, self.span.limit)))
        except QuotaExceeded:
            await self._reserve_up_to(end)

    async def _reserve_up_to(self, end: int) -> None:
        upload, ports = self.upload, self.backends.ports
        async with self.backends.db.transaction() as tx:
            # Its maker may be gone since the request began, and then nobody's line is to have it.
            locked = await uploads.lock(tx, upload.id)
            if locked is None or locked.state not in uploads.GROWING:
                raise has_ended(locked or upload)
            # Another request may have needed more since this one began.
            reserved = max(end, locked.reserved)
            await uploads.change(tx, upload.id, uploads.GROWING, {"reserved": reserved})
            more = Change(locked.workspace_id, locked.created_by_id, reserved=reserved - locked.reserved)
            await ledger.post(tx, ports.workspace_policy, [more])
        self._reserved = reserved


def _refusal(error: StoreError) -> Refusal:
    if isinstance(error, StoreBusy):
        return UploadBusy()
    if isinstance(error, WrongPosition):
        return OffsetMismatch(message=f"{error.reach} bytes have come: go on there.", received=error.reach)
    return unavailable(error)
