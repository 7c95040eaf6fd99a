"""The selects that open the bytes of files for users, and the sizes of download events that grow."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, case, select, update
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import Blob, Event, File, FileStatus, Member, User, Version


class ContentRow(NamedTuple):
    """One content of a file that a user may read, with where its bytes lie."""

    user_id: UUID
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
            col(Member.user_id),
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
            col(Member.user_id).in_(bindparam("user_ids", expanding=True)),
            col(User.disabled_at).is_(None),
            col(File.status) == FileStatus.READY,
            col(Blob.deleted_at).is_(None),
        )
    )


# Built once: composing these costs more than the database takes to answer them.
_CURRENT = _readable().where(
    col(File.id).in_(bindparam("file_ids", expanding=True)), col(Version.id) == col(File.version_id)
)
_NAMED = _readable().where(col(Version.id).in_(bindparam("version_ids", expanding=True)))


async def current_contents(rows: Rows, user_ids: Sequence[UUID], file_ids: Sequence[UUID]) -> list[ContentRow]:
    """The current contents of these files, once for each of these users who is not disabled and may read them."""
    found = await rows.all(_CURRENT, {"user_ids": user_ids, "file_ids": file_ids})
    return [ContentRow._make(row) for row in found]


async def named_contents(rows: Rows, user_ids: Sequence[UUID], version_ids: Sequence[UUID]) -> list[ContentRow]:
    """These versions, once for each of these users who is not disabled and may read them."""
    found = await rows.all(_NAMED, {"user_ids": user_ids, "version_ids": version_ids})
    return [ContentRow._make(row) for row in found]


async def sizes_of(rows: Rows, event_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Those of the events that are written already, with their sizes."""
    found = await rows.all(select(col(Event.id), col(Event.size)).where(col(Event.id).in_(event_ids)))
    return {row.id: row.size for row in found}


async def resize(tx: Transaction, sizes: Mapping[UUID, int]) -> None:
    """Give written events other sizes, all in one statement."""
    await tx.execute(update(Event).where(col(Event.id).in_(sizes)).values(size=case(dict(sizes), value=col(Event.id))))
