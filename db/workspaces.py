"""Selects on workspaces, each for one member: who is no member finds nothing."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import and_, bindparam, select
from sqlmodel import col

from db.engine import Rows, Selection
from db.models import Member, User, Workspace
from db.rows import MembershipRow, WorkspaceRow

_COLUMNS = (
    col(Workspace.id),
    col(Workspace.name),
    col(Workspace.personal_user_id),
    col(Workspace.created_at),
    col(Member.role),
)
# Who is disabled has no rights left, also in the middle of a request.
_MEMBERSHIP = (
    select(col(Member.user_id), col(Member.workspace_id), col(Member.role))
    .join(User, col(User.id) == col(Member.user_id))
    .where(col(User.disabled_at).is_(None))
)
# Built once: they are asked for every upload.
_BY_WORKSPACE = _MEMBERSHIP.where(
    col(Member.user_id).in_(bindparam("user_ids", expanding=True)),
    col(Member.workspace_id).in_(bindparam("workspace_ids", expanding=True)),
)
_PERSONAL = _MEMBERSHIP.join(Workspace, col(Workspace.id) == col(Member.workspace_id)).where(
    col(Workspace.personal_user_id) == bindparam("user_id"), col(Member.user_id) == bindparam("user_id")
)


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


async def memberships(rows: Rows, user_ids: Collection[UUID], workspace_ids: Collection[UUID]) -> list[MembershipRow]:
    """Who of the users is a member of which of the workspaces, in no particular order."""
    found = await rows.all(_BY_WORKSPACE, {"user_ids": list(user_ids), "workspace_ids": list(workspace_ids)})
    return [MembershipRow._make(row) for row in found]


async def personal_membership(rows: Rows, user_id: UUID) -> MembershipRow | None:
    """A user's membership of the workspace that is their own."""
    row = await rows.first(_PERSONAL, {"user_id": user_id})
    return row and MembershipRow._make(row)


async def personal_of(rows: Rows, viewer_id: UUID, user_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """The personal workspaces of users, with the viewer's role in each if there is one, in no particular order."""
    membership = and_(col(Member.workspace_id) == col(Workspace.id), col(Member.user_id) == viewer_id)
    found = await rows.all(
        select(*_COLUMNS).join(Member, membership, isouter=True).where(col(Workspace.personal_user_id).in_(user_ids))
    )
    return [WorkspaceRow._make(row) for row in found]
