"""Uploads that somebody else goes on with, or has ended: the request that sends their bytes lets go, in any process.

That somebody asks for an upload is news, and news are hints: a request that does not hear it goes on to its own end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Final, Self
from uuid import UUID

from db import uploads
from db.bus import Body, News
from db.rows import UploadRow
from domain import topics
from domain.backends import Backends
from domain.errors import Refusal
from domain.upload_errors import UploadBusy
from domain.upload_sessions import has_ended, lent_upload
from domain.uploads import unavailable
from storage.store import StoreError

WAIT_SECONDS: Final = 5.0
"""What came last may have to be synced first, by a disk that is busy."""

_FIRST_LOOK_SECONDS: Final = 0.01
_LOOK_SECONDS: Final = 0.25


async def take_over(backends: Backends, upload: UploadRow, wait_seconds: float = WAIT_SECONDS) -> None:
    """Have whoever sends bytes of an upload let go, and wait until they are durable, but no longer than so.

    Whether anybody does is asked of the store: where nobody does, nobody is told and nothing is waited for. It is for
    callers to know that the viewer may go on with the upload. Raises Unavailable.
    """
    if upload.state not in uploads.GROWING or not await _is_sent(backends, upload):
        return
    backends.db.bus.tell([News(topics.of_senders(upload.id), {})])
    pause = _FIRST_LOOK_SECONDS
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_seconds):
            while await _is_sent(backends, upload):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LOOK_SECONDS)


class Hold:
    """What a request has on an upload from before its bytes are let in until after the last of them."""

    def __init__(self, backends: Backends, upload_id: UUID) -> None:
        self._backends = backends
        self._upload_id = upload_id
        self._is_asked_for = False
        self._scope: asyncio.Timeout | None = None

    def __enter__(self) -> Self:
        self._stop = self._backends.db.bus.listen(topics.of_senders(self._upload_id), self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Cancel what is done inside once somebody asks for the upload, or has asked since the hold began.

        Raises UploadBusy then, or that the upload has ended.
        """
        self._scope = asyncio.timeout(0 if self._is_asked_for else None)
        try:
            async with self._scope:
                yield
        except TimeoutError:
            if self._scope.expired():
                raise await self._refusal() from None
            raise
        finally:
            self._scope = None

    def _hear(self, _body: Body) -> None:
        # A request that is still being let in is not cancelled there, where it could leave half a writer behind.
        self._is_asked_for = True
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(0)

    async def _refusal(self) -> Refusal:
        async with self._backends.db.reading() as rows:
            upload = await lent_upload(rows, self._upload_id)
        if upload.state in uploads.GROWING:
            return UploadBusy(message="Another request asked to go on with this upload.")
        return has_ended(upload)


async def _is_sent(backends: Backends, upload: UploadRow) -> bool:
    try:
        return await backends.store.is_extended(upload.blob_key)
    except StoreError as error:
        raise unavailable(error) from error
