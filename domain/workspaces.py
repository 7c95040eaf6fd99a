"""Workspaces, found for a viewer."""

from collections.abc import Sequence
from uuid import UUID

from db import workspaces
from db.engine import Rows
from db.rows import WorkspaceRow
from domain.errors import NotFound
from domain.viewer import Viewer


async def by_ids(rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """Those of the workspaces that the viewer is a member of, in no particular order; none for nobody."""
    return await workspaces.by_ids(rows, viewer.user_id, workspace_ids) if viewer.user_id else []


async def personal_of(rows: Rows, viewer: Viewer, user_id: UUID) -> WorkspaceRow:
    """A user's personal workspace, for the user and for administrators. Raises NotSignedIn and NotFound.

    That there is one is part of the account; what lies in it is not an administrator's to read.
    """
    viewer_id = viewer.required()
    if viewer_id != user_id and not viewer.is_admin:
        raise NotFound(message="There is no such workspace.")
    return await workspaces.personal_of(rows, user_id, viewer_id)
