"""The authoriser: who may do what in a workspace. Everything that touches a file or workspace asks here.

What the viewer may not see is not found, with the same answer and cost as what does not exist; what the viewer sees
but may not change is forbidden.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from db import workspaces
from db.engine import Rows
from db.models import WorkspaceRole
from db.rows import MembershipRow
from domain.errors import Forbidden, NotFound, Refusal
from domain.viewer import Viewer

_WRITERS = frozenset({WorkspaceRole.OWNER, WorkspaceRole.EDITOR})


def may_write(role: str) -> bool:
    """Whether a member of this role may add, change and purge files."""
    return role in _WRITERS


class Access(NamedTuple):
    """A workspace that the viewer may write to, and the viewer's role in it."""

    workspace_id: UUID
    role: str


async def writable_workspace(rows: Rows, viewer: Viewer, workspace_id: UUID | None) -> Access:
    """The workspace that the viewer may put files into; None names the personal one.

    Raises NotSignedIn, NotFound and Forbidden.
    """
    user_id = viewer.required()
    if workspace_id is None:
        return _writable(await workspaces.personal_membership(rows, user_id))
    [found] = await writable_workspaces(rows, [(viewer, workspace_id)])
    if isinstance(found, Refusal):
        raise found
    return found


async def writable_workspaces(rows: Rows, wanted: Sequence[tuple[Viewer, UUID]]) -> list[Access | Refusal]:
    """For each viewer and workspace in turn, whether the one may put files into the other: in one statement."""
    pairs = [(viewer.required(), workspace_id) for viewer, workspace_id in wanted]
    found = await workspaces.memberships(rows, {user_id for user_id, _ in pairs}, {place for _, place in pairs})
    by_pair = {(row.user_id, row.workspace_id): row for row in found}
    return [_judged(by_pair.get(pair)) for pair in pairs]


def _judged(membership: MembershipRow | None) -> Access | Refusal:
    try:
        return _writable(membership)
    except (NotFound, Forbidden) as refusal:
        return refusal


def _writable(membership: MembershipRow | None) -> Access:
    if membership is None:
        raise NotFound(message="There is no such workspace.", path=("workspaceId",))
    if not may_write(membership.role):
        raise Forbidden(message="Viewers of a workspace cannot change its files.", path=("workspaceId",))
    return Access(membership.workspace_id, membership.role)
