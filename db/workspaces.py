"""Selects on workspaces, each for one member: who is no member finds nothing."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import and_, bindparam, select
from sqlmodel import col

from db.engine import Rows, Selection
from db.models import Member, Workspace
from db.rows import WorkspaceRow

_COLUMNS = (
    col(Workspace.id),
    col(Workspace.name),
    col(Workspace.personal_user_id),
    col(Workspace.created_at),
    col(Member.role),
)
_ROLE = select(col(Member.role)).where(
    col(Member.workspace_id) == bindparam("workspace_id"), col(Member.user_id) == bindparam("user_id")
)
_PERSONAL = select(col(Workspace.id)).where(col(Workspace.personal_user_id) == bindparam("user_id"))


def visible_to(user_id: UUID) -> Selection:
    """The workspaces that a user is a member of."""
    return (
        select(*_COLUMNS)
        .join(Member, col(Member.workspace_id) == col(Workspace.id))
        .where(col(Member.user_id) == user_id)
    )


async def by_ids(rows: Rows, user_id: UUID, workspace_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """Those of the workspaces that the user is a member of, in no particular order."""
    found = await rows.all(visible_to(user_id).where(col(Workspace.id).in_(workspace_ids)))
    return [WorkspaceRow._make(row) for row in found]


async def role_of(rows: Rows, user_id: UUID, workspace_id: UUID) -> str | None:
    """The role of a member, or None."""
    role: str | None = await rows.scalar(_ROLE, {"workspace_id": workspace_id, "user_id": user_id})
    return role


async def personal_of(rows: Rows, viewer_id: UUID, user_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """The personal workspaces of users, with the viewer's role in each if there is one, in no particular order."""
    membership = and_(col(Member.workspace_id) == col(Workspace.id), col(Member.user_id) == viewer_id)
    found = await rows.all(
        select(*_COLUMNS).join(Member, membership, isouter=True).where(col(Workspace.personal_user_id).in_(user_ids))
    )
    return [WorkspaceRow._make(row) for row in found]


async def personal_id(rows: Rows, user_id: UUID) -> UUID | None:
    """The id of one user's personal workspace."""
    workspace_id: UUID | None = await rows.scalar(_PERSONAL, {"user_id": user_id})
    return workspace_id
