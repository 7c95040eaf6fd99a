"""The selects that open the bytes of files for users, and the sizes of download events that grow."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, null, select, update
from sqlmodel import col

from db.analytics_deltas import DeltaRow
from db.api_keys import IS_PRESENTED, PRESENTED
from db.engine import Rows, Selection, Transaction
from db.frequent import FrequentSelect
from db.frequent_inserts import FrequentInsert, Values
from db.models import ApiKey, ApiKeySecret, Blob, Delta, Event, File, FileStatus, Session, User, Version
from db.roles import is_member
from db.rows import PresentedKeyRow


class ContentRow(NamedTuple):
    """One content of a file that a user may read, with where its bytes lie.

    `session_id` is the session that the user asked by; None where the right was lent by a signed link.
    """

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
    damage: str | None
    session_id: UUID | None


class KeyedContentRow(NamedTuple):
    """A content that the user of an API key may read, found by a secret of the key. What the key may is not judged."""

    secret_hash: str
    key: PresentedKeyRow
    content: ContentRow


_CONTENT_COLUMNS = len(ContentRow._fields) - 1
"""Those of a ContentRow that every select begins with: all but the session."""


def _readable(is_version: ColumnElement[bool]) -> Selection:
    return (
        select(
            col(User.id),
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
            col(Blob.damage),
        )
        .select_from(File)
        .join(Version, is_version)
        .join(Blob, col(Blob.key) == col(Version.blob_key))
        .join(User, is_member(col(File.workspace_id), col(User.id)))
        .where(
            col(User.disabled_at).is_(None),
            col(File.status) == FileStatus.READY,
            col(Blob.deleted_at).is_(None),
        )
    )


def _by_sessions(readable: Selection) -> Selection:
    # Until when a session lasts need not be asked: no access token outlasts it.
    return (
        readable.add_columns(col(Session.id))
        .join(Session, col(Session.user_id) == col(User.id))
        .where(col(Session.id).in_(bindparam("session_ids", expanding=True)), col(Session.revoked_at).is_(None))
    )


def _by_keys(readable: Selection) -> Selection:
    return (
        readable.add_columns(col(ApiKeySecret.secret_hash), *PRESENTED)
        .join(ApiKey, col(ApiKey.user_id) == col(User.id))
        .join(ApiKeySecret, col(ApiKeySecret.api_key_id) == col(ApiKey.id))
        .where(*IS_PRESENTED)
    )


# Built once: composing these costs more than the database takes to answer them.
_CURRENT_ONES = _readable(col(Version.id) == col(File.version_id)).where(
    col(File.id).in_(bindparam("file_ids", expanding=True))
)
_NAMED_ONES = _readable(col(Version.file_id) == col(File.id)).where(
    col(Version.id).in_(bindparam("version_ids", expanding=True))
)
_CURRENT = FrequentSelect(_by_sessions(_CURRENT_ONES))
_NAMED = FrequentSelect(_by_sessions(_NAMED_ONES))
_CURRENT_BY_KEYS = _by_keys(_CURRENT_ONES)
_NAMED_BY_KEYS = _by_keys(_NAMED_ONES)
_LENT = FrequentSelect(_NAMED_ONES.add_columns(null()).where(col(User.id).in_(bindparam("user_ids", expanding=True))))


_RECORD = FrequentInsert(Event, Delta)


async def current_contents(rows: Rows, session_ids: Sequence[UUID], file_ids: Sequence[UUID]) -> list[ContentRow]:
    """The current contents of these files, once for each of these sessions that lasts and whose user may read them."""
    found = await rows.frequent(_CURRENT, {"session_ids": session_ids, "file_ids": file_ids})
    return [ContentRow._make(row) for row in found]


async def named_contents(rows: Rows, session_ids: Sequence[UUID], version_ids: Sequence[UUID]) -> list[ContentRow]:
    """These versions, once for each of these sessions that lasts and whose user may read them."""
    found = await rows.frequent(_NAMED, {"session_ids": session_ids, "version_ids": version_ids})
    return [ContentRow._make(row) for row in found]


async def lent_contents(rows: Rows, user_ids: Sequence[UUID], version_ids: Sequence[UUID]) -> list[ContentRow]:
    """These versions, once for each of these users who is not disabled and may read them, signed in or not."""
    found = await rows.frequent(_LENT, {"user_ids": user_ids, "version_ids": version_ids})
    return [ContentRow._make(row) for row in found]


async def current_contents_by_keys(
    rows: Rows, secret_hashes: Sequence[str], file_ids: Sequence[UUID]
) -> list[KeyedContentRow]:
    """The current contents of these files, once for each of these secrets whose key's user may read them."""
    found = await rows.all(_CURRENT_BY_KEYS, {"secret_hashes": secret_hashes, "file_ids": file_ids})
    return [_keyed(row) for row in found]


async def named_contents_by_keys(
    rows: Rows, secret_hashes: Sequence[str], version_ids: Sequence[UUID]
) -> list[KeyedContentRow]:
    """These versions, once for each of these secrets whose key's user may read them."""
    found = await rows.all(_NAMED_BY_KEYS, {"secret_hashes": secret_hashes, "version_ids": version_ids})
    return [_keyed(row) for row in found]


def _keyed(row: Sequence[Any]) -> KeyedContentRow:
    content = ContentRow._make([*row[:_CONTENT_COLUMNS], None])
    return KeyedContentRow(row[_CONTENT_COLUMNS], PresentedKeyRow._make(row[_CONTENT_COLUMNS + 1 :]), content)


async def record(tx: Transaction, events: Values, deltas: Iterable[DeltaRow]) -> None:
    """Write events of downloads, and what they count."""
    await tx.insert_all(_RECORD, [events, [delta._asdict() for delta in deltas]])


async def written(rows: Rows, event_ids: Sequence[UUID]) -> dict[UUID, tuple[int, datetime]]:
    """Those of the events that are written already, with their sizes, and when they say that it was."""
    columns = col(Event.id), col(Event.size), col(Event.created_at)
    found = await rows.all(select(*columns).where(col(Event.id).in_(event_ids)))
    return {row.id: (row.size, row.created_at) for row in found}


async def resize(tx: Transaction, sizes: Mapping[UUID, int]) -> None:
    """Give written events other sizes, all in one statement."""
    await tx.execute(update(Event).where(col(Event.id).in_(sizes)).values(size=case(dict(sizes), value=col(Event.id))))
