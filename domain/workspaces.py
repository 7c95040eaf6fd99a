"""Workspaces, found for a viewer."""

from collections.abc import Sequence
from uuid import UUID

from db import workspaces
from db.engine import Rows
from db.rows import WorkspaceRow
from domain.viewer import Viewer


async def by_ids(rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """Those of the workspaces that the viewer is a member of, in no particular order; none for nobody."""
    return await workspaces.by_ids(rows, viewer.user_id, workspace_ids) if viewer.user_id else []


async def personal_of(rows: Rows, viewer: Viewer, user_ids: Sequence[UUID]) -> list[WorkspaceRow]:
    """The personal workspaces of users, as far as they are the viewer or the viewer is an administrator.

    That there is one is part of the account; what lies in it is not an administrator's to read. Raises NotSignedIn.
    """
    viewer_id = viewer.required()
    own = [user_id for user_id in user_ids if viewer.is_admin or user_id == viewer_id]
    return await workspaces.personal_of(rows, viewer_id, own)
