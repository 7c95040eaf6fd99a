"""The authoriser: who may do what in a workspace. Everything that touches a file or workspace asks here.

What the viewer may not see is not found, with the same answer and cost as what does not exist; what the viewer sees
but may not change is forbidden.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from db import workspaces
from db.engine import Database, Rows, Transaction
from db.models import WorkspaceRole
from db.rows import MembershipRow, WorkspaceRow
from domain.errors import Forbidden, NotFound, PersonalWorkspace, Refusal
from domain.scopes import Scope
from domain.viewer import Viewer

_WRITERS = frozenset({WorkspaceRole.OWNER, WorkspaceRole.EDITOR})


def may_write(role: str) -> bool:
    """Whether a member of this role may add, change and purge files."""
    return role in _WRITERS


class Access(NamedTuple):
    """A workspace that the viewer may write to, as the membership says. `role` is the viewer's in it."""

    membership: MembershipRow

    @property
    def workspace_id(self) -> UUID:
        """The workspace."""
        return self.membership.workspace_id

    @property
    def role(self) -> str:
        """What the viewer may do there."""
        return self.membership.role


class Place(NamedTuple):
    """Where a user wants to put a file; None names the user's own workspace."""

    user_id: UUID
    workspace_id: UUID | None


async def writable_workspace(db: Database, viewer: Viewer, workspace_id: UUID | None) -> Access:
    """The workspace that the viewer may put files into; None names the personal one.

    Everything that asks at the same moment is asked together. Raises NotSignedIn, ScopeMissing, NotFound and Forbidden.
    """
    return _writable(await db.ask(_memberships, Place(viewer.required(Scope.FILES_WRITE), workspace_id)))


async def readable_workspace(db: Database, viewer: Viewer, workspace_id: UUID | None) -> UUID:
    """The workspace whose files the viewer may see; None names the personal one.

    Everything that asks at the same moment is asked together. Raises NotSignedIn, ScopeMissing and NotFound.
    """
    found = await db.ask(_memberships, Place(viewer.required(Scope.FILES_READ), workspace_id))
    if found is None:
        raise no_such_workspace()
    return found.workspace_id


async def _memberships(rows: Rows, places: Collection[Place]) -> dict[Place, MembershipRow]:
    own = {place.user_id for place in places if place.workspace_id is None}
    named = [(place.user_id, place.workspace_id) for place in places if place.workspace_id is not None]
    found: dict[Place, MembershipRow] = {}
    if own:
        personal = await workspaces.personal_memberships(rows, own)
        found |= {Place(row.user_id, None): row for row in personal}
    if named:
        users, wanted = zip(*named, strict=True)
        joined = await workspaces.memberships(rows, set(users), set(wanted))
        found |= {Place(row.user_id, row.workspace_id): row for row in joined}
    return found


async def held_workspaces(tx: Transaction, wanted: Sequence[tuple[Viewer, UUID]]) -> list[Access | Refusal]:
    """For each viewer and workspace in turn, whether the one may put files into the other, for whoever writes them now.

    Until this transaction ends, nobody deletes the workspaces or those users, or takes their rights away. It comes
    before every other lock of an upload: see docs/decisions/0035-locks-have-an-order.md.

    Otherwise a workspace could be found empty and deleted while a file comes into it, and be told to be safe.
    """
    found = await workspaces.hold_memberships(tx, *_users_and_places(wanted))
    return _all_judged(wanted, found)


async def held_workspace(tx: Transaction, viewer: Viewer, workspace_id: UUID) -> Access:
    """The same for one. Raises NotSignedIn, ScopeMissing, NotFound and Forbidden."""
    [access] = await held_workspaces(tx, [(viewer, workspace_id)])
    if isinstance(access, Refusal):
        raise access
    return access


async def joined_workspace(
    tx: Transaction, viewer: Viewer, workspace_id: UUID, path: tuple[str, ...] = ("workspaceId",)
) -> WorkspaceRow:
    """A workspace that the viewer is a member of, as it is once nobody else can change it or its members.

    Raises NotSignedIn, ScopeMissing and NotFound.
    """
    user_id = viewer.required(Scope.ACCOUNT_WRITE)
    found = await workspaces.standing(tx, user_id, workspace_id)
    if found is not None:
        # Who has no right takes no lock, and cannot hold up those who have. What was read before it may be over.
        await workspaces.lock(tx, [workspace_id])
        found = await workspaces.standing(tx, user_id, workspace_id)
    if found is None:
        raise no_such_workspace(path)
    return found


async def owned_workspace(
    tx: Transaction, viewer: Viewer, workspace_id: UUID, path: tuple[str, ...] = ("workspaceId",)
) -> WorkspaceRow:
    """A workspace that the viewer owns, as it is once nobody else can change it or its members.

    Raises NotSignedIn, ScopeMissing, NotFound and Forbidden.
    """
    workspace = await joined_workspace(tx, viewer, workspace_id, path)
    if workspace.viewer_role != WorkspaceRole.OWNER:
        raise Forbidden(message="Only owners of a workspace may do this.", path=path)
    return workspace


async def shared_workspace(tx: Transaction, viewer: Viewer, workspace_id: UUID) -> WorkspaceRow:
    """What `owned_workspace` finds, when others may come in. Raises PersonalWorkspace, too."""
    workspace = await owned_workspace(tx, viewer, workspace_id)
    if workspace.personal_user_id is not None:
        raise PersonalWorkspace(path=("workspaceId",))
    return workspace


def no_such_workspace(path: tuple[str, ...] = ("workspaceId",)) -> NotFound:
    """Absent, or not the viewer's to see."""
    return NotFound(message="There is no such workspace.", path=path)


def _users_and_places(wanted: Sequence[tuple[Viewer, UUID]]) -> tuple[set[UUID], set[UUID]]:
    return {viewer.required(Scope.FILES_WRITE) for viewer, _ in wanted}, {workspace_id for _, workspace_id in wanted}


def _all_judged(wanted: Sequence[tuple[Viewer, UUID]], found: Sequence[MembershipRow]) -> list[Access | Refusal]:
    by_pair = {(row.user_id, row.workspace_id): row for row in found}
    return [_judged(by_pair.get((viewer.required(Scope.FILES_WRITE), workspace_id))) for viewer, workspace_id in wanted]


def _judged(membership: MembershipRow | None) -> Access | Refusal:
    try:
        return _writable(membership)
    except (NotFound, Forbidden) as refusal:
        return refusal


def _writable(membership: MembershipRow | None) -> Access:
    if membership is None:
        raise no_such_workspace()
    if not may_write(membership.role):
        raise Forbidden(message="Viewers of a workspace cannot change its files.", path=("workspaceId",))
    return Access(membership)
