"""Who is in a workspace and with which role. A workspace always keeps an owner who can sign in.

Verbs that end or change a membership lock the workspace before they count its owners. Two owners who leave at the same
moment would each still see the other on PostgreSQL; behind the lock, the second sees that the first is gone. On SQLite
a transaction begins with the write lock, and there is never a second one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from db import members
from db.engine import Rows, Transaction
from db.models import WorkspaceRole
from db.questions import Page, Window
from db.rows import MemberRow, WorkspaceRow
from domain.access import joined_workspace, shared_workspace
from domain.errors import LastOwner, NotFound, PersonalWorkspace
from domain.events import EventKind, RequestFacts, Subject, event
from domain.ports import Ports
from domain.scopes import Scope
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Membership:
    """A user in a workspace."""

    workspace_id: UUID
    user_id: UUID


@dataclass(frozen=True, slots=True)
class RoleChange:
    """Another role for a member."""

    membership: Membership
    role: WorkspaceRole


async def pages(
    rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID], window: Window
) -> Mapping[UUID, Page[MemberRow]]:
    """For each workspace a window of its members. Members see who else is one; administrators, of every workspace."""
    return await members.pages(rows, _seen_as(viewer), workspace_ids, window)


async def counts(rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID], _: None) -> Mapping[UUID, int]:
    """For each workspace how many members `pages` has."""
    return await members.counts(rows, _seen_as(viewer), workspace_ids)


async def update_member(
    tx: Transaction, ports: Ports, viewer: Viewer, change: RoleChange, facts: RequestFacts
) -> MemberRow:
    """Give a member another role, as an owner.

    Raises NotSignedIn, NotFound, Forbidden, PersonalWorkspace and LastOwner.
    """
    member = await _member(tx, viewer, change.membership)
    if member.role == change.role:
        return member
    await _keep_an_owner(tx, change.membership, member.role)
    await members.set_role(tx, member.workspace_id, member.user_id, change.role)
    told = {"from": member.role, "to": change.role}
    subject = Subject(viewer.user_id, member.workspace_id, member.user_id, data=told)
    await tx.add(event(EventKind.MEMBER_UPDATED, subject, facts, ports.clock.now()))
    return member._replace(role=change.role)


async def remove_member(
    tx: Transaction, ports: Ports, viewer: Viewer, membership: Membership, facts: RequestFacts
) -> MemberRow:
    """End a membership, as an owner; what the member brought stays.

    Raises NotSignedIn, NotFound, Forbidden, PersonalWorkspace and LastOwner.
    """
    member = await _member(tx, viewer, membership)
    await _keep_an_owner(tx, membership, member.role)
    await members.remove(tx, member.workspace_id, member.user_id)
    subject = Subject(viewer.user_id, member.workspace_id, member.user_id, data={"role": member.role})
    await tx.add(event(EventKind.MEMBER_REMOVED, subject, facts, ports.clock.now()))
    return member


async def leave_workspace(
    tx: Transaction, ports: Ports, viewer: Viewer, workspace_id: UUID, facts: RequestFacts
) -> WorkspaceRow:
    """End the viewer's own membership. Raises NotSignedIn, NotFound, PersonalWorkspace and LastOwner."""
    workspace = await joined_workspace(tx, viewer, workspace_id, ("id",))
    if workspace.personal_user_id is not None:
        raise PersonalWorkspace(path=("id",))
    user_id = viewer.required(Scope.ACCOUNT_WRITE)
    await _keep_an_owner(tx, Membership(workspace.id, user_id), workspace.viewer_role)
    await members.remove(tx, workspace.id, user_id)
    subject = Subject(user_id, workspace.id, user_id, data={"role": workspace.viewer_role})
    await tx.add(event(EventKind.MEMBER_LEFT, subject, facts, ports.clock.now()))
    return workspace


async def _member(tx: Transaction, viewer: Viewer, membership: Membership) -> MemberRow:
    workspace = await shared_workspace(tx, viewer, membership.workspace_id)
    found = await members.find(tx, workspace.id, membership.user_id)
    if found is None:
        raise NotFound(message="There is no such member.", path=("userId",))
    return found


async def _keep_an_owner(tx: Transaction, membership: Membership, role: str | None) -> None:
    workspace_id, user_id = membership.workspace_id, membership.user_id
    if role == WorkspaceRole.OWNER and not await members.has_other_owner(tx, workspace_id, user_id):
        raise LastOwner


def _seen_as(viewer: Viewer) -> UUID | None:
    return None if viewer.is_admin else viewer.required(Scope.FILES_READ)
