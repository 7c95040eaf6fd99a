"""Selects and writes on workspaces. Those for a viewer find what that viewer is a member of, unless they say more."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.frequent import FrequentSelect
from db.models import Invitation, Member, Quota, User, Workspace
from db.pages import Order, Owners, pages_of
from db.questions import Page, Window
from db.roles import is_member, role_in, visible
from db.rows import MembershipRow, WorkspaceRow

_COLUMNS = (col(Workspace.id), col(Workspace.name), col(Workspace.personal_user_id), col(Workspace.created_at))
_OLDEST_FIRST = Order(col(Workspace.created_at), col(Workspace.id), is_descending=False)
# Who is disabled has no rights left, also in the middle of a request.
_MEMBERSHIP = (
    select(col(User.id), col(Workspace.id), role_in(col(Workspace.id), col(User.id)))
    .select_from(User)
    .join(Workspace, is_member(col(Workspace.id), col(User.id)))
    .where(col(User.id).in_(bindparam("user_ids", expanding=True)), col(User.disabled_at).is_(None))
)
_WORKSPACE_LINE, _USER_LINE = aliased(Quota), aliased(Quota)
_LINES = [
    column
    for line in (_WORKSPACE_LINE, _USER_LINE)
    for column in (col(line.quota_limit), col(line.used), col(line.reserved))
]
_BY_WORKSPACE = _MEMBERSHIP.where(col(Workspace.id).in_(bindparam("workspace_ids", expanding=True)))


def _with_lines(memberships: Selection) -> Selection:
    return (
        memberships.add_columns(*_LINES)
        .join(_WORKSPACE_LINE, col(_WORKSPACE_LINE.owner_id) == col(Workspace.id), isouter=True)
        .join(_USER_LINE, col(_USER_LINE.owner_id) == col(User.id), isouter=True)
    )


# An upload holds its workspace until its file has committed: whoever deletes the workspace waits for that, and counts
# the file, or was first, and the upload finds nothing. It is the lock that the file's foreign key takes anyway.
_HELD_WORKSPACES = FrequentSelect(
    select(col(Workspace.id))
    .where(col(Workspace.id).in_(bindparam("workspace_ids", expanding=True)), col(Workspace.deleted_at).is_(None))
    .order_by(col(Workspace.id))
    .with_for_update(read=True, key_share=True)
)
# A statement of its own: it sees what was changed while the one before waited, and locks people after workspaces.
_HELD_PEOPLE = FrequentSelect(_BY_WORKSPACE.order_by(col(User.id)).with_for_update(read=True, key_share=True, of=User))
# Both are asked for every upload.
_NAMED = FrequentSelect(_with_lines(_BY_WORKSPACE))
_PERSONAL = FrequentSelect(
    _with_lines(_MEMBERSHIP).where(
        col(Workspace.personal_user_id) == col(User.id),
        col(Workspace.personal_user_id).in_(bindparam("user_ids", expanding=True)),
    )
)


async def by_ids(rows: Rows, user_id: UUID, workspace_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """Those of the workspaces that the user is a member of, in no particular order."""
    found = await rows.all(visible(_seen_by(user_id).where(col(Workspace.id).in_(workspace_ids))))
    return [WorkspaceRow._make(row) for row in found]


async def ids_of(rows: Rows, user_id: UUID) -> list[UUID]:
    """All workspaces that the user is a member of, in no particular order."""
    found = await rows.all(select(col(Member.workspace_id)).where(col(Member.user_id) == user_id))
    return [row.workspace_id for row in found]


async def memberships(rows: Rows, user_ids: Collection[UUID], workspace_ids: Collection[UUID]) -> list[MembershipRow]:
    """Who of the users is a member of which of the workspaces, in no particular order."""
    found = await rows.frequent(_NAMED, {"user_ids": list(user_ids), "workspace_ids": list(workspace_ids)})
    return [MembershipRow(*row) for row in found]


async def hold_memberships(
    tx: Transaction, user_ids: Collection[UUID], workspace_ids: Collection[UUID]
) -> list[MembershipRow]:
    """What `memberships` finds, and neither workspaces nor users are deleted before this transaction ends.

    Nor does anybody lose a membership meanwhile: whoever ends one locks the workspace.
    """
    held = await tx.frequent(_HELD_WORKSPACES, {"workspace_ids": list(workspace_ids)})
    there = [workspace_id for (workspace_id,) in held]
    found = await tx.frequent(_HELD_PEOPLE, {"user_ids": list(user_ids), "workspace_ids": there})
    return [MembershipRow(*row) for row in found]


async def personal_memberships(rows: Rows, user_ids: Collection[UUID]) -> list[MembershipRow]:
    """The membership of each of the users in the workspace that is their own, in no particular order."""
    return [MembershipRow(*row) for row in await rows.frequent(_PERSONAL, {"user_ids": list(user_ids)})]


async def personal_of(rows: Rows, viewer_id: UUID, user_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """The personal workspaces of users, with the viewer's role in each if there is one, in no particular order."""
    found = await rows.all(_all_for(viewer_id).where(col(Workspace.personal_user_id).in_(user_ids)))
    return [WorkspaceRow._make(row) for row in found]


async def existing(rows: Rows, viewer_id: UUID, workspace_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """Those of the workspaces that exist, whoever is a member, with the viewer's role in each if there is one."""
    found = await rows.all(_all_for(viewer_id).where(col(Workspace.id).in_(workspace_ids)))
    return [WorkspaceRow._make(row) for row in found]


async def standing(rows: Rows, user_id: UUID, workspace_id: UUID) -> WorkspaceRow | None:
    """A workspace with the user's role in it, when the user is a member and not disabled."""
    is_enabled = select(col(User.id)).where(col(User.id) == user_id, col(User.disabled_at).is_(None)).exists()
    row = await rows.first(visible(_seen_by(user_id).where(col(Workspace.id) == workspace_id, is_enabled)))
    return row and WorkspaceRow._make(row)


async def lock(tx: Transaction, workspace_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the workspaces that exist; nobody else changes them or their members before this transaction ends.

    On PostgreSQL a lock on each row, taken in the order of ids so that two who want several never wait for each other;
    on SQLite the transaction has the write lock already.
    """
    there = col(Workspace.id).in_(workspace_ids), col(Workspace.deleted_at).is_(None)
    found = await tx.all(select(col(Workspace.id)).where(*there).order_by(col(Workspace.id)).with_for_update())
    return {row.id for row in found}


async def pages(
    rows: Rows, viewer_id: UUID, user_ids: Sequence[UUID], window: Window
) -> dict[UUID, Page[WorkspaceRow]]:
    """For each user a window of the workspaces it is a member of, the oldest first, with the viewer's role in each."""
    theirs = aliased(Member)
    statement = _all_for(viewer_id).join(theirs, col(theirs.workspace_id) == col(Workspace.id))
    found = await pages_of(rows, statement, Owners(col(theirs.user_id), user_ids), _OLDEST_FIRST, window)
    return {key: page.of(WorkspaceRow._make) for key, page in found.items()}


async def counts(rows: Rows, user_ids: Sequence[UUID]) -> dict[UUID, int]:
    """For each user of how many workspaces it is a member; who is of none is left out."""
    members = select(col(Member.user_id), func.count().label("number")).where(col(Member.user_id).in_(user_ids))
    return {row.user_id: row.number for row in await rows.all(members.group_by(col(Member.user_id)))}


async def rename(tx: Transaction, workspace_id: UUID, name: str) -> None:
    """Give a workspace another name."""
    await tx.execute(update(Workspace).where(col(Workspace.id) == workspace_id).values(name=name))


async def mark_deleted(tx: Transaction, workspace_ids: Sequence[UUID], now: datetime) -> None:
    """Take workspaces from everybody at once: without members nobody finds them or anything in them."""
    await tx.execute(
        update(Workspace).where(col(Workspace.id).in_(workspace_ids)).values(deleted_at=now, personal_user_id=None)
    )
    await tx.execute(delete(Member).where(col(Member.workspace_id).in_(workspace_ids)))
    await tx.execute(delete(Invitation).where(col(Invitation.workspace_id).in_(workspace_ids)))


async def deleted(rows: Rows, limit: int) -> list[UUID]:
    """Deleted workspaces that still have a row, the longest waiting first."""
    statement = select(col(Workspace.id)).where(col(Workspace.deleted_at).is_not(None))
    return [row.id for row in await rows.all(statement.order_by(col(Workspace.deleted_at)).limit(limit))]


async def forget(tx: Transaction, workspace_id: UUID) -> None:
    """Remove the row of a deleted workspace that has no files any more."""
    await tx.execute(delete(Workspace).where(col(Workspace.id) == workspace_id, col(Workspace.deleted_at).is_not(None)))


def _seen_by(viewer_id: UUID) -> Selection:
    return select(*_COLUMNS, role_in(col(Workspace.id), viewer_id).label("viewer_role"))


def _all_for(viewer_id: UUID) -> Selection:
    return _seen_by(viewer_id).where(col(Workspace.deleted_at).is_(None))
