"""Bodies that are the bytes of an upload: from the connection into a reception, whatever becomes of the connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import UUID

from api.cancellation import despite_cancellation
from api.tus_heads import Checksum, ChecksumWrong
from db.rows import UploadRow
from domain.errors import Refusal
from domain.receptions import Reception
from domain.upload_errors import UploadBusy

INTERRUPT_SECONDS = 5.0


async def receive(reception: Reception, chunks: AsyncIterator[bytes], checksum: Checksum | None = None) -> UploadRow:
    """Take a whole body; the upload as it stands then. What came before something went wrong is not forgotten.

    Raises what `chunks` and the reception raise, and ChecksumWrong: then nothing of the body has come.
    """
    counted = checksum.begin() if checksum else None
    try:
        async for chunk in chunks:
            if counted is not None:
                counted.update(chunk)
            await reception.write(chunk)
    except BaseException:
        # A checksum is of the whole body: of a part of it nobody knows whether it came as it was sent.
        ending = reception.cut() if checksum is None else reception.discard()
        with suppress(Refusal):
            await despite_cancellation(ending)
        raise
    if checksum is not None and counted is not None and counted.digest() != checksum.expected:
        await despite_cancellation(reception.discard())
        raise ChecksumWrong("The bytes that came are not those that Upload-Checksum sums up.")
    return await despite_cancellation(reception.end())


class Senders:
    """Who is sending bytes of which upload to this process: at most one request each."""

    def __init__(self) -> None:
        self._tasks: dict[UUID, asyncio.Task[UploadRow]] = {}

    async def run(self, upload_id: UUID, task: asyncio.Task[UploadRow]) -> UploadRow:
        """Wait for a request's bytes; unless `interrupt` comes first, which raises UploadBusy."""
        self._tasks[upload_id] = task
        try:
            return await task
        except asyncio.CancelledError:
            if self._tasks.get(upload_id) is task:  # it is the request that is cancelled, not its bytes
                task.cancel()
                await asyncio.wait({task})
                raise
            raise UploadBusy(message="Another request asked to go on with this upload.") from None
        finally:
            if self._tasks.get(upload_id) is task:
                del self._tasks[upload_id]

    async def interrupt(self, upload_id: UUID) -> None:
        """Have the request that sends bytes end where it is: its client has lost it, or would not ask."""
        task = self._tasks.pop(upload_id, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=INTERRUPT_SECONDS)
