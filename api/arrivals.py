"""Bodies that are the bytes of an upload: from the connection into a reception, whatever becomes of the connection."""

from collections.abc import AsyncIterator
from contextlib import suppress

from api.cancellation import despite_cancellation
from api.tus_heads import Checksum, ChecksumWrong
from db.rows import UploadRow
from domain.errors import Refusal
from domain.receptions import Reception
from domain.takeovers import Hold


async def receive(reception: Reception, chunks: AsyncIterator[bytes], checksum: Checksum | None = None) -> UploadRow:
    """Let a whole body in; the upload as it stands then. What came before something went wrong is not forgotten.

    Raises what `chunks`, the reception and `Hold.sending` raise, and ChecksumWrong: then nothing of the body has come.
    """
    with Hold(reception.backends, reception.upload.id) as hold:
        await reception.open()
        async with hold.sending():
            return await _taken(reception, chunks, checksum)


async def _taken(reception: Reception, chunks: AsyncIterator[bytes], checksum: Checksum | None) -> UploadRow:
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
