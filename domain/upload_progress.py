"""How far an upload is, told while its bytes come in, in whatever process that is."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from db import uploads
from db.bus import Body, Bus, News
from db.engine import Database
from db.models import UploadState
from db.rows import UploadRow
from domain import topics
from domain.scopes import Scope
from domain.upload_sessions import by_ids
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class WatchPace:
    """How many seconds lie between what a watcher is told, and between its looks although nobody said anything.

    `beginning` is how long it waits for an upload that is not there yet.
    """

    between: float = 0.25
    unasked: float = 15.0
    beginning: float = 60.0


PACE = WatchPace()


class ProgressTeller:
    """Tells those who watch an upload how many of its bytes have come, every so often."""

    __slots__ = ("_bus", "_due_at", "_topic")

    def __init__(self, bus: Bus, upload_id: UUID) -> None:
        self._bus = bus
        self._topic = topics.of_upload(upload_id)
        self._due_at = 0.0

    def tell(self, received: int) -> None:
        """So many bytes have come, durable or not."""
        now = asyncio.get_running_loop().time()
        if now >= self._due_at:
            self._due_at = now + PACE.between
            self._bus.tell([News(self._topic, {"received": received})])

    def tell_loss(self) -> None:
        """What came was thrown away: the record says how far the upload is."""
        self._bus.tell([News(self._topic, {})])


async def watch_upload(
    db: Database, viewer: Viewer, upload_id: UUID, pace: WatchPace = PACE
) -> AsyncGenerator[UploadRow | None, None]:
    """One of the viewer's uploads: as it stands, then whenever that has changed, until it has ended.

    None while there is none of that id: a client may choose it, and watch before it sends. The right is asked each
    time. Raises NotSignedIn and ScopeMissing.
    """
    viewer.required(Scope.FILES_WRITE)
    gauge = _Gauge()
    stop = db.bus.listen(topics.of_upload(upload_id), gauge.hear)
    begins_by = asyncio.get_running_loop().time() + pace.beginning
    try:
        shown = upload = await _look(db, viewer, upload_id)
        yield shown
        while _may_change(upload, begins_by):
            await gauge.wait(pace.unasked)
            upload = await _look(db, viewer, upload_id)
            seen = upload and gauge.read(upload)
            if seen != shown:
                shown = seen
                yield seen
                await asyncio.sleep(pace.between)
    finally:
        stop()


def _may_change(upload: UploadRow | None, begins_by: float) -> bool:
    if upload is None:
        return asyncio.get_running_loop().time() < begins_by
    return upload.state in uploads.LIVE


async def _look(db: Database, viewer: Viewer, upload_id: UUID) -> UploadRow | None:
    async with db.reading() as rows:
        found = await by_ids(rows, viewer, [upload_id])
    return found[0] if found else None


class _Gauge:
    """What was heard of an upload."""

    __slots__ = ("_heard", "_received")

    def __init__(self) -> None:
        self._heard = asyncio.Event()
        self._received = 0

    def hear(self, body: Body) -> None:
        # What is told without it is to be read from the record: bytes may have been thrown away.
        self._received = body.get("received", 0)
        self._heard.set()

    async def wait(self, seconds: float) -> None:
        """Until something was heard since the last time, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        self._heard.clear()

    def read(self, upload: UploadRow) -> UploadRow:
        """The upload as of now: bytes that have come count, although nobody has noted them yet."""
        if upload.state not in uploads.GROWING or self._received <= upload.received:
            return upload
        return upload._replace(state=UploadState.RECEIVING, received=self._received)
