"""Selects and writes on uploads. Selects for a user find that user's own, in workspaces that it is a member of."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import Member, Upload, UploadPart, UploadState, User
from db.pages import Order, page_of
from db.questions import Page, UploadFilter, Window
from db.roles import visible
from db.rows import FileRow, UploadRow

LIVE = (UploadState.OPEN, UploadState.RECEIVING, UploadState.VERIFYING)
"""The states of uploads that have not ended."""

GROWING = (UploadState.OPEN, UploadState.RECEIVING)
"""The states in which bytes may come."""

_COLUMNS = (
    *(col(getattr(Upload, name)) for name in UploadRow._fields if name != "viewer_role"),
    col(Member.role),
)
_IS_MAKER = and_(col(Member.workspace_id) == col(Upload.workspace_id), col(Member.user_id) == col(Upload.created_by_id))
_NEWEST_FIRST = Order(col(Upload.created_at), col(Upload.id), is_descending=True)


def _owned() -> Selection:
    # Who is disabled, or was removed from the workspace, has no uploads in it any more.
    return (
        select(*_COLUMNS)
        .join(User, col(User.id) == col(Upload.created_by_id))
        .join(Member, _IS_MAKER)
        .where(col(User.disabled_at).is_(None))
    )


def _named() -> Selection:
    owner = select(col(Member.role)).join(User, col(User.id) == col(Member.user_id))
    role = owner.where(_IS_MAKER, col(User.disabled_at).is_(None)).correlate(Upload).scalar_subquery()
    return select(*_COLUMNS[:-1], role.label("viewer_role"))


async def by_ids(rows: Rows, user_id: UUID, upload_ids: Collection[UUID]) -> list[UploadRow]:
    """Those of the uploads that are the user's, in no particular order."""
    found = visible(_named().where(col(Upload.id).in_(upload_ids)))
    statement = found.where(found.selected_columns.created_by_id == user_id)
    return [UploadRow._make(row) for row in await rows.all(statement)]


async def lent(rows: Rows, upload_id: UUID) -> UploadRow | None:
    """An upload in the name of whoever made it, for those whom that one lends the right to."""
    row = await rows.first(visible(_named().where(col(Upload.id) == upload_id)))
    return row and UploadRow._make(row)


async def lock(tx: Transaction, upload_id: UUID) -> UploadRow | None:
    """An upload, whoever made it; nobody else changes it before this transaction ends."""
    statement = select(*_COLUMNS).join(Member, _IS_MAKER, isouter=True).where(col(Upload.id) == upload_id)
    row = await tx.first(statement.with_for_update(of=Upload))
    return row and UploadRow._make(row)


async def lock_live(tx: Transaction, upload_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the uploads that have not ended; nobody else changes them before this transaction ends."""
    statement = select(col(Upload.id)).where(col(Upload.id).in_(upload_ids), col(Upload.state).in_(LIVE))
    return {row.id for row in await tx.all(statement.order_by(col(Upload.id)).with_for_update())}


async def lock_made_by(tx: Transaction, user_id: UUID) -> None:
    """Have nobody else change a user's uploads before this transaction ends."""
    theirs = select(col(Upload.id)).where(col(Upload.created_by_id) == user_id)
    await tx.all(theirs.order_by(col(Upload.id)).with_for_update())


async def commit(tx: Transaction, upload_id: UUID, file: FileRow) -> None:
    """Say what an upload has become."""
    became = {"file_id": file.id, "version_id": file.version_id, "size": file.size, "received": file.size}
    values = {"state": UploadState.COMMITTED, "reserved": 0, "updated_at": file.updated_at, **became}
    await tx.execute(update(Upload).where(col(Upload.id) == upload_id).values(**values))


async def page(rows: Rows, user_id: UUID, where: UploadFilter, window: Window) -> Page[UploadRow]:
    """A window of the user's uploads, the newest first."""
    found = await page_of(rows, _filtered(user_id, where), _NEWEST_FIRST, window)
    return found.of(UploadRow._make)


async def count(rows: Rows, user_id: UUID, where: UploadFilter) -> int:
    """How many uploads the user has."""
    number: int = await rows.scalar(_filtered(user_id, where).with_only_columns(func.count()))
    return number


async def count_live(rows: Rows, user_id: UUID) -> int:
    """How many uploads of the user have not ended, wherever."""
    theirs = col(Upload.created_by_id) == user_id, col(Upload.state).in_(LIVE)
    number: int = await rows.scalar(select(func.count()).where(*theirs))
    return number


async def change(tx: Transaction, upload_id: UUID, states: Collection[UploadState], values: dict[str, Any]) -> bool:
    """Change an upload if it is in one of these states. Whether it was."""
    statement = update(Upload).where(col(Upload.id) == upload_id, col(Upload.state).in_(states))
    return await tx.execute(statement.values(**values)) == 1


async def note_received(tx: Transaction, upload_id: UUID, received: int, times: dict[str, datetime]) -> bool:
    """Say how far an upload has come, if bytes may still come; never less than was said. Whether they may."""
    furthest = case((col(Upload.received) < received, received), else_=col(Upload.received))
    values = {"state": UploadState.RECEIVING, "received": furthest, **times}
    return await change(tx, upload_id, GROWING, values)


async def add_part(tx: Transaction, part: UploadPart) -> bool:
    """Note that a part has come, unless it had come before. Whether it is new."""
    return await tx.add_unless_there(part)


async def parts_of(rows: Rows, upload_id: UUID) -> dict[int, int]:
    """The parts that have come: their sizes by number."""
    statement = select(col(UploadPart.number), col(UploadPart.size)).where(col(UploadPart.upload_id) == upload_id)
    return {row.number: row.size for row in await rows.all(statement)}


async def overdue(rows: Rows, now: datetime, limit: int) -> list[UUID]:
    """Uploads whose time is over although they have not ended, the longest first."""
    statement = select(col(Upload.id)).where(col(Upload.state).in_(GROWING), col(Upload.expires_at) <= now)
    return [row.id for row in await rows.all(statement.order_by(col(Upload.expires_at)).limit(limit))]


async def stuck(rows: Rows, before: datetime, limit: int) -> list[UUID]:
    """Uploads that have been under verification since before that time."""
    statement = select(col(Upload.id)).where(
        col(Upload.state) == UploadState.VERIFYING, col(Upload.updated_at) <= before
    )
    return [row.id for row in await rows.all(statement.limit(limit))]


async def live_keys(rows: Rows, keys: Sequence[str]) -> set[str]:
    """Those of the keys under which bytes of an upload lie that has not ended."""
    statement = select(col(Upload.blob_key)).where(col(Upload.blob_key).in_(keys), col(Upload.state).in_(LIVE))
    return {row.blob_key for row in await rows.all(statement)}


async def stale(rows: Rows, before: datetime, after_id: UUID, limit: int) -> list[tuple[UUID, int]]:
    """Uploads that should have ended before that time, whose ids come after this one, with the bytes that have come."""
    is_overdue = and_(col(Upload.state).in_(GROWING), col(Upload.expires_at) <= before)
    is_stuck = and_(col(Upload.state) == UploadState.VERIFYING, col(Upload.updated_at) <= before)
    statement = select(col(Upload.id), col(Upload.received)).where(or_(is_overdue, is_stuck), col(Upload.id) > after_id)
    return [(row.id, row.received) for row in await rows.all(statement.order_by(col(Upload.id)).limit(limit))]


async def live_in(rows: Rows, workspace_id: UUID, limit: int) -> list[UUID]:
    """Uploads into a workspace that have not ended, whoever makes them."""
    statement = select(col(Upload.id)).where(col(Upload.workspace_id) == workspace_id, col(Upload.state).in_(LIVE))
    return [row.id for row in await rows.all(statement.order_by(col(Upload.id)).limit(limit))]


async def forget_in(tx: Transaction, workspace_id: UUID) -> None:
    """Remove what is remembered of ended uploads into a workspace."""
    ended = select(col(Upload.id)).where(col(Upload.workspace_id) == workspace_id, col(Upload.state).not_in(LIVE))
    locked = ended.order_by(col(Upload.id)).with_for_update()
    await tx.execute(delete(Upload).where(col(Upload.id).in_(locked)))


async def forget_ended(tx: Transaction, before: datetime) -> int:
    """Remove what is remembered of uploads that ended before that time; how many."""
    ended = select(col(Upload.id)).where(col(Upload.state).not_in(LIVE), col(Upload.updated_at) <= before)
    return await tx.execute(delete(Upload).where(col(Upload.id).in_(ended.with_for_update(skip_locked=True))))


def _filtered(user_id: UUID, where: UploadFilter) -> Selection:
    statement = _owned().where(col(Upload.created_by_id) == user_id)
    if where.workspace_id is not None:
        statement = statement.where(col(Upload.workspace_id) == where.workspace_id)
    if where.states is not None:
        statement = statement.where(col(Upload.state).in_(where.states))
    return statement
