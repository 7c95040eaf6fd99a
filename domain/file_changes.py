"""What happens to files, told while it happens. The events are the record of it; this is for those who watch."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from db.bus import Body
from db.engine import Database, Transaction
from domain import topics
from domain.access import readable_workspace
from domain.events import EventKind
from domain.flags import Flag
from domain.stream_errors import StreamOverrun
from domain.viewer import Viewer

WAITING = 100
"""Changes that wait for a slow reader. They are small, and this is all that is kept for it."""


class FileChange(NamedTuple):
    """Something that happened to a file."""

    kind: EventKind
    file_id: UUID
    actor_id: UUID | None
    happened_at: datetime


def tell_change(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Have those told, once this is committed, who watch where the event of these values happened."""
    actor_id: UUID | None = values["actor_id"]
    tx.tell(
        topics.of_files(values["workspace_id"]),
        kind=values["kind"],
        file=values["target_id"].hex,
        actor=actor_id and actor_id.hex,
        at=values["created_at"].isoformat(),
    )


async def watch_files(db: Database, viewer: Viewer, workspace_id: UUID | None) -> AsyncGenerator[FileChange, None]:
    """What happens to the files of a workspace from now on; None names the personal one.

    The right is asked now, and again for each change. Raises NotSignedIn, ScopeMissing and NotFound, StreamOverrun to
    who reads too slowly.
    """
    place = await readable_workspace(db, viewer, workspace_id)
    mailbox = _Mailbox()
    stop = db.bus.listen(topics.of_files(place), mailbox.put)
    try:
        while True:
            body = await mailbox.take()
            await readable_workspace(db, viewer, place)
            yield _change_of(body)
    finally:
        stop()


class _Mailbox:
    __slots__ = ("_arrived", "_is_overrun", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Body] = []
        self._arrived = Flag()
        self._is_overrun = False

    def put(self, body: Body) -> None:
        if len(self._waiting) < WAITING:
            self._waiting.append(body)
        else:
            self._is_overrun = True
        self._arrived.set()

    async def take(self) -> Body:
        while not self._waiting:
            if self._is_overrun:
                raise StreamOverrun
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.pop(0)


def _change_of(body: Body) -> FileChange:
    return FileChange(
        EventKind(body["kind"]),
        UUID(body["file"]),
        UUID(body["actor"]) if body["actor"] else None,
        datetime.fromisoformat(body["at"]),
    )
