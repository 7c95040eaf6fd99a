"""Workspaces: found for a viewer, made, renamed and deleted. Who is in them is for `domain.members`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from db import files, users, workspaces
from db.engine import Rows, Transaction
from db.models import Member, Workspace, WorkspaceRole
from db.questions import Page, Window
from db.rows import WorkspaceRow
from domain.access import owned_workspace
from domain.errors import BadCredential, PersonalWorkspace, WorkspaceNotEmpty
from domain.events import EventKind, RequestFacts, Subject, event
from domain.names import clean_line
from domain.ports import Ports
from domain.scopes import Scope
from domain.viewer import Viewer

NAME_CHARACTERS = 100
_PATH = ("id",)


@dataclass(frozen=True, slots=True)
class Deletion:
    """A workspace to be deleted, and whether its files may go with it."""

    workspace_id: UUID
    purge_files: bool = False


@dataclass(frozen=True, slots=True)
class NewName:
    """Another name for a workspace."""

    workspace_id: UUID
    name: str


async def by_ids(rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """Those of the workspaces that the viewer is a member of, in no particular order; none for nobody.

    Raises ScopeMissing.
    """
    user_id = viewer.known(Scope.FILES_READ)
    return await workspaces.by_ids(rows, user_id, workspace_ids) if user_id else []


async def known_by_ids(rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """Those of the workspaces that the viewer may know of: as a member, and for administrators all.

    What a workspace is called and how much lies in it is an administrator's business; what lies in it is not.
    """
    if viewer.is_admin and viewer.user_id:
        return await workspaces.existing(rows, viewer.user_id, workspace_ids)
    return await by_ids(rows, viewer, workspace_ids)


async def personal_of(rows: Rows, viewer: Viewer, user_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """The personal workspaces of users, as far as they are the viewer or the viewer is an administrator.

    That there is one is part of the account; what lies in it is not an administrator's to read.

    Raises NotSignedIn and ScopeMissing.
    """
    return await workspaces.personal_of(rows, viewer.seeing_accounts(), _accounts_of(viewer, user_ids))


async def pages(
    rows: Rows, viewer: Viewer, user_ids: Sequence[UUID], window: Window
) -> Mapping[UUID, Page[WorkspaceRow]]:
    """For each user a window of the workspaces it is a member of: the viewer's own, for administrators anybody's.

    Raises NotSignedIn.
    """
    return await workspaces.pages(rows, viewer.seeing_accounts(), _accounts_of(viewer, user_ids), window)


async def counts(rows: Rows, viewer: Viewer, user_ids: Sequence[UUID], _: None) -> Mapping[UUID, int]:
    """For each user how many workspaces `pages` has. Raises NotSignedIn."""
    viewer.seeing_accounts()
    return await workspaces.counts(rows, _accounts_of(viewer, user_ids))


async def create_workspace(
    tx: Transaction, ports: Ports, viewer: Viewer, name: str, facts: RequestFacts
) -> WorkspaceRow:
    """A workspace that the viewer owns. Raises NotSignedIn, BadCredential and InvalidInput."""
    user_id, now = viewer.required(Scope.ACCOUNT_WRITE), ports.clock.now()
    workspace = Workspace(name=clean_line(name, "workspace's name", NAME_CHARACTERS), created_at=now)
    # Held, so that an account that is deleted at this moment leaves no workspace behind without an owner.
    if not await users.hold_enabled(tx, user_id):
        raise BadCredential
    owner = Member(workspace_id=workspace.id, user_id=user_id, role=WorkspaceRole.OWNER, created_at=now)
    subject = Subject(user_id, workspace.id, workspace.id, data={"name": workspace.name})
    await tx.add(workspace, owner, event(EventKind.WORKSPACE_CREATED, subject, facts, now))
    return WorkspaceRow(workspace.id, workspace.name, None, now, WorkspaceRole.OWNER)


async def created(rows: Rows, viewer: Viewer, workspace_id: UUID) -> WorkspaceRow | None:
    """A workspace that the viewer made, if it is there and the viewer in it. Raises NotSignedIn and ScopeMissing."""
    return await workspaces.standing(rows, viewer.required(Scope.ACCOUNT_WRITE), workspace_id)


async def rename_workspace(
    tx: Transaction, ports: Ports, viewer: Viewer, change: NewName, facts: RequestFacts
) -> WorkspaceRow:
    """Give a workspace another name, as its owner. Raises NotSignedIn, NotFound, Forbidden and InvalidInput."""
    workspace = await owned_workspace(tx, viewer, change.workspace_id, _PATH)
    name = clean_line(change.name, "workspace's name", NAME_CHARACTERS)
    await workspaces.rename(tx, workspace.id, name)
    subject = Subject(viewer.user_id, workspace.id, workspace.id, data={"from": workspace.name, "to": name})
    await tx.add(event(EventKind.WORKSPACE_RENAMED, subject, facts, ports.clock.now()))
    return workspace._replace(name=name)


async def delete_workspace(
    tx: Transaction, ports: Ports, viewer: Viewer, deletion: Deletion, facts: RequestFacts
) -> WorkspaceRow:
    """Take a workspace from all its members, as its owner. `domain.purges` removes what lies in it, after the commit.

    Raises NotSignedIn, NotFound, Forbidden, PersonalWorkspace, and WorkspaceNotEmpty unless its files may be purged.
    """
    if deletion.purge_files:
        viewer.required(Scope.FILES_WRITE)
    workspace = await owned_workspace(tx, viewer, deletion.workspace_id, _PATH)
    if workspace.personal_user_id is not None:
        raise PersonalWorkspace(path=_PATH)
    number = await files.count_in(tx, workspace.id)
    if number and not deletion.purge_files:
        message = f"The workspace has {number} {'file' if number == 1 else 'files'}: purge them first, or with it."
        raise WorkspaceNotEmpty(message=message, files=number, path=_PATH)
    now = ports.clock.now()
    await workspaces.mark_deleted(tx, [workspace.id], now)
    subject = Subject(viewer.user_id, workspace.id, workspace.id, data={"name": workspace.name, "files": number})
    await tx.add(event(EventKind.WORKSPACE_DELETED, subject, facts, now))
    return workspace


def _accounts_of(viewer: Viewer, user_ids: Sequence[UUID]) -> list[UUID]:
    return [user_id for user_id in user_ids if viewer.sees_account_of(user_id)]
