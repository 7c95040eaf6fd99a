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


async def personal(rows: Rows, viewer: Viewer) -> WorkspaceRow:
    """The viewer's personal workspace. Raises NotSignedIn."""
    return await workspaces.personal(rows, viewer.required())
