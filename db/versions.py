"""Selects on versions. Every select for a user finds only the versions of files that this user may see."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlmodel import col

from db.engine import Rows, Selection
from db.models import File, Version
from db.pages import Order, Owners, pages_of
from db.questions import Page, Window
from db.roles import is_member
from db.rows import VersionRow

_OF_VERSION = (
    col(Version.id),
    col(Version.file_id),
    col(Version.number),
    col(Version.blob_key),
    col(Version.size),
    col(Version.media_type),
    col(Version.declared_media_type),
    col(Version.digest),
    col(Version.created_by_id),
    col(Version.created_at),
)
# By number, not by time: clocks go back.
_NEWEST_FIRST = Order(col(Version.number), col(Version.id), is_descending=True)


async def by_ids(rows: Rows, user_id: UUID, version_ids: Sequence[UUID]) -> list[VersionRow]:
    """Those of the versions whose files the user may see, in no particular order."""
    columns = *_OF_VERSION, col(Version.id) == col(File.version_id), col(File.status)
    named = select(*columns).join(File, col(File.id) == col(Version.file_id)).where(col(Version.id).in_(version_ids))
    found = await rows.all(named.where(is_member(col(File.workspace_id), user_id)))
    return [VersionRow._make(row) for row in found]


async def pages(rows: Rows, user_id: UUID, file_ids: Sequence[UUID], window: Window) -> dict[UUID, Page[VersionRow]]:
    """For each file that the user may see a window of its versions, the newest first."""
    owners = Owners(col(Version.file_id), file_ids)
    found = await pages_of(rows, _versions_of(user_id, file_ids), owners, _NEWEST_FIRST, window)
    return {file_id: page.of(VersionRow._make) for file_id, page in found.items()}


async def counts(rows: Rows, user_id: UUID, file_ids: Sequence[UUID]) -> dict[UUID, int]:
    """For each file that the user may see how many versions it has."""
    of_files = _versions_of(user_id, file_ids)
    statement = of_files.with_only_columns(col(Version.file_id), func.count().label("number"))
    found = await rows.all(statement.group_by(col(Version.file_id)))
    return {row.file_id: row.number for row in found}


def _versions_of(user_id: UUID, file_ids: Sequence[UUID]) -> Selection:
    columns = col(File.id), col(File.version_id), col(File.status)
    named = select(*columns).where(col(File.id).in_(file_ids), is_member(col(File.workspace_id), user_id))
    # So that PostgreSQL asks for the right once for each file, and not for each of its versions.
    files = named.cte("named").prefix_with("MATERIALIZED", dialect="postgresql")
    is_current = (col(Version.id) == files.c.version_id).label("is_current")
    return select(*_OF_VERSION, is_current, files.c.status).join(files, files.c.id == col(Version.file_id))
