"""The select that opens a file's bytes for a user, and the sizes of download events that grow."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, case, select, update
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import Blob, Event, File, FileStatus, Member, User, Version


class ContentRow(NamedTuple):
    """One content of a file, with where its bytes lie."""

    file_id: UUID
    workspace_id: UUID
    name: str
    version_id: UUID
    number: int
    size: int
    media_type: str
    digest: str
    created_at: datetime
    blob_key: str


def _readable() -> Selection:
    return (
        select(
            col(File.id),
            col(File.workspace_id),
            col(File.name),
            col(Version.id),
            col(Version.number),
            col(Version.size),
            col(Version.media_type),
            col(Version.digest),
            col(Version.created_at),
            col(Version.blob_key),
        )
        .join(Member, col(Member.workspace_id) == col(File.workspace_id))
        .join(User, col(User.id) == col(Member.user_id))
        .join(Version, col(Version.file_id) == col(File.id))
        .join(Blob, col(Blob.key) == col(Version.blob_key))
        .where(
            col(File.id) == bindparam("file_id"),
            col(Member.user_id) == bindparam("user_id"),
            col(User.disabled_at).is_(None),
            col(File.status) == FileStatus.READY,
            col(Blob.deleted_at).is_(None),
        )
    )


# Built once: composing this statement costs more than the database takes to answer it.
_CURRENT = _readable().where(col(Version.id) == col(File.version_id))
_PINNED = _readable().where(col(Version.id) == bindparam("version_id"))


async def readable(rows: Rows, user_id: UUID, file_id: UUID, version_id: UUID | None) -> ContentRow | None:
    """A content that this user, who is not disabled, may read; the current one unless a version is named."""
    parameters = {"file_id": file_id, "user_id": user_id}
    if version_id is None:
        row = await rows.first(_CURRENT, parameters)
    else:
        row = await rows.first(_PINNED, {**parameters, "version_id": version_id})
    return row and ContentRow._make(row)


async def sizes_of(rows: Rows, event_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Those of the events that are written already, with their sizes."""
    found = await rows.all(select(col(Event.id), col(Event.size)).where(col(Event.id).in_(event_ids)))
    return {row.id: row.size for row in found}


async def resize(tx: Transaction, sizes: Mapping[UUID, int]) -> None:
    """Give written events other sizes, all in one statement."""
    await tx.execute(update(Event).where(col(Event.id).in_(sizes)).values(size=case(dict(sizes), value=col(Event.id))))
