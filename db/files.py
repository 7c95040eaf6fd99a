"""Selects and writes on files, versions and their blobs. Every select for a user finds only what that user may see."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, bindparam, delete, false, func, literal, or_, select, update
from sqlalchemy.orm import Mapped
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import File, Member, Version
from db.pages import Order, page_of
from db.questions import FileFilter, FileOrderField, Page, Window
from db.roles import role_in, visible
from db.rows import FileRow

_OF_FILE = (
    col(File.id),
    col(File.workspace_id),
    col(File.uploaded_by_id),
    col(File.name),
    col(File.version_id),
    col(File.size),
    col(File.media_type),
    col(File.declared_media_type),
    col(File.digest),
    col(File.status),
    col(File.revision),
    col(File.created_at),
    col(File.updated_at),
)
_COLUMNS = (*_OF_FILE, col(Member.role))
# Built once: composing it costs more than the database takes to answer it.
_NAMED = visible(
    select(*_OF_FILE, role_in(col(File.workspace_id), bindparam("user_id", type_=Uuid)).label("viewer_role")).where(
        col(File.id).in_(bindparam("file_ids", expanding=True))
    )
)


class OwnedFile(NamedTuple):
    """A file, and whose line in the ledger it is counted on."""

    id: UUID
    workspace_id: UUID
    user_id: UUID | None
    media_type: str


class OwnedVersion(NamedTuple):
    """A version's bytes, and whose line in the ledger they are counted on."""

    workspace_id: UUID
    user_id: UUID | None
    size: int
    media_type: str
    blob_key: str


class HeldVersion(NamedTuple):
    """A version, and where its file is."""

    id: UUID
    file_id: UUID
    workspace_id: UUID
    size: int


_ORDER_COLUMNS: dict[FileOrderField, Mapped[Any]] = {
    FileOrderField.NAME: col(File.name_folded),
    FileOrderField.CREATED_AT: col(File.created_at),
    FileOrderField.SIZE: col(File.size),
}


def visible_to(user_id: UUID) -> Selection:
    """The files of all workspaces that a user is a member of."""
    return (
        select(*_COLUMNS)
        .join(Member, col(Member.workspace_id) == col(File.workspace_id))
        .where(col(Member.user_id) == user_id)
    )


async def by_ids(rows: Rows, user_id: UUID, file_ids: Sequence[UUID]) -> list[FileRow]:
    """Those of the files that the user may see, in no particular order."""
    return [FileRow._make(row) for row in await rows.all(_NAMED, {"user_id": user_id, "file_ids": file_ids})]


async def page(
    rows: Rows, user_id: UUID, where: FileFilter, order: tuple[FileOrderField, bool], window: Window
) -> Page[FileRow]:
    """A window of the files that the user may see. `order` is the field and whether it descends."""
    field, is_descending = order
    found = await page_of(
        rows,
        visible_to(user_id).where(*_conditions(where)),
        Order(_ORDER_COLUMNS[field], col(File.id), is_descending),
        window,
    )
    return found.of(FileRow._make)


async def count(rows: Rows, user_id: UUID, where: FileFilter) -> int:
    """How many files the user may see."""
    statement = visible_to(user_id).where(*_conditions(where)).with_only_columns(func.count())
    number: int = await rows.scalar(statement)
    return number


async def versions_of_blob(rows: Rows, blob_key: str) -> list[HeldVersion]:
    """Every version whose bytes lie under a key, whoever may see it."""
    columns = col(Version.id), col(Version.file_id), col(File.workspace_id), col(Version.size)
    held = select(*columns).join(File, col(File.id) == col(Version.file_id))
    return [HeldVersion._make(row) for row in await rows.all(held.where(col(Version.blob_key) == blob_key))]


async def rename(tx: Transaction, file: FileRow, name: str, name_folded: str, now: datetime) -> bool:
    """Give a file another name, if it is still at the revision that was read."""
    changed = await tx.execute(
        update(File)
        .where(col(File.id) == file.id, col(File.revision) == file.revision)
        .values(name=name, name_folded=name_folded, updated_at=now, revision=file.revision + 1)
    )
    return changed == 1


async def lock_with_numbers(tx: Transaction, file_ids: Sequence[UUID]) -> dict[UUID, tuple[FileRow, int]]:
    """Files, whoever may see them, each with the number of its newest version; nobody else changes them meanwhile."""
    there: Selection = (
        select(*_OF_FILE, literal("")).where(col(File.id).in_(file_ids)).order_by(col(File.id)).with_for_update()
    )
    locked = [FileRow._make(row) for row in await tx.all(there)]
    newest: Selection = (
        select(col(Version.file_id), func.max(col(Version.number)).label("number"))
        .where(col(Version.file_id).in_(file_ids))
        .group_by(col(Version.file_id))
    )
    numbers: dict[UUID, int] = {row.file_id: row.number for row in await tx.all(newest)}
    return {row.id: (row, numbers[row.id]) for row in locked}


async def lock_made_by(tx: Transaction, user_id: UUID) -> None:
    """Have nobody else change the files that a user uploaded, or made a version of, before this transaction ends."""
    versions = select(col(Version.file_id)).where(col(Version.created_by_id) == user_id)
    theirs = or_(col(File.uploaded_by_id) == user_id, col(File.id).in_(versions))
    await tx.all(select(col(File.id)).where(theirs).order_by(col(File.id)).with_for_update())


async def set_content(tx: Transaction, file: FileRow) -> None:
    """Give a locked file the content, revision and time that its row says."""
    changed = {
        "version_id": file.version_id,
        "size": file.size,
        "media_type": file.media_type,
        "declared_media_type": file.declared_media_type,
        "digest": file.digest,
        "revision": file.revision,
        "updated_at": file.updated_at,
    }
    await tx.execute(update(File).where(col(File.id) == file.id).values(**changed))


async def count_in(rows: Rows, workspace_id: UUID) -> int:
    """How many files a workspace has, whoever may see them."""
    number: int = await rows.scalar(select(func.count()).where(col(File.workspace_id) == workspace_id))
    return number


async def sizes_in(rows: Rows, workspace_id: UUID, limit: int) -> dict[UUID, int]:
    """Up to `limit` files of a workspace with their sizes in bytes, whoever may see them."""
    there = select(col(File.id), col(File.size)).where(col(File.workspace_id) == workspace_id)
    # In the order of an index: where most files are in one workspace, any of them are looked for among all files.
    oldest = there.order_by(col(File.created_at), col(File.id))
    return {row.id: row.size for row in await rows.all(oldest.limit(limit))}


async def purge(tx: Transaction, file_ids: Sequence[UUID]) -> tuple[list[OwnedFile], list[OwnedVersion]]:
    """Remove files with all their versions: those of the files that were there at all, and their versions."""
    there = col(File.id).in_(file_ids)
    # Whoever replaces one of them just now has done so before this, or finds that it is gone.
    held = select(col(File.id), col(File.workspace_id), col(File.uploaded_by_id), col(File.media_type)).where(there)
    gone = [OwnedFile._make(row) for row in await tx.all(held.order_by(col(File.id)).with_for_update())]
    owned = select(
        col(File.workspace_id),
        col(Version.created_by_id),
        col(Version.size),
        col(Version.media_type),
        col(Version.blob_key),
    )
    versions = await tx.all(owned.join(File, col(File.id) == col(Version.file_id)).where(there))
    await tx.execute(delete(File).where(there))
    return gone, [OwnedVersion._make(row) for row in versions]


def _conditions(where: FileFilter) -> list[ColumnElement[bool]]:
    tests: list[ColumnElement[bool]] = []
    if where.name_contains_folded is not None:
        tests.append(col(File.name_folded).contains(where.name_contains_folded, autoescape=True))
    if where.media_types is not None:
        tests.append(or_(false(), *(_has_media_type(media_type) for media_type in where.media_types)))
    for column, lower, upper in (
        (col(File.size), where.size_from, where.size_to),
        (col(File.created_at), where.created_from, where.created_to),
    ):
        tests += [column >= lower] if lower is not None else []
        tests += [column < upper] if upper is not None else []
    for id_column, wanted in (
        (col(File.workspace_id), where.workspace_id),
        (col(File.uploaded_by_id), where.uploaded_by_id),
    ):
        tests += [id_column == wanted] if wanted is not None else []
    return tests


def _has_media_type(media_type: str) -> ColumnElement[bool]:
    family, _, kind = media_type.partition("/")
    if kind == "*":
        return col(File.media_type).startswith(f"{family}/", autoescape=True)
    return col(File.media_type) == media_type
