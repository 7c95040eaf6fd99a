"""The authoriser: who may do what in a workspace. Everything that touches a file or workspace asks here.

What the viewer may not see is not found, with the same answer and cost as what does not exist; what the viewer sees
but may not change is forbidden.
"""

from typing import NamedTuple
from uuid import UUID

from db import workspaces
from db.engine import Rows
from db.models import WorkspaceRole
from domain.errors import Forbidden, NotFound
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
        workspace_id = await workspaces.personal_id(rows, user_id)
    role = await workspaces.role_of(rows, user_id, workspace_id) if workspace_id else None
    if workspace_id is None or role is None:
        raise NotFound(message="There is no such workspace.", path=("workspaceId",))
    if not may_write(role):
        raise Forbidden(message="Viewers of a workspace cannot change its files.", path=("workspaceId",))
    return Access(workspace_id, role)
