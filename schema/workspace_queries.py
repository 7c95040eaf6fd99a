"""Finding a workspace."""

from typing import Annotated

import strawberry

from schema.context import Info
from schema.ids import Prefix, decode
from schema.workspaces import Workspace, workspace_of


@strawberry.type
class WorkspaceQueries:
    """Finding a workspace."""

    @strawberry.field(description="A workspace that you are a member of, or null.")
    async def workspace(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The workspace.")]
    ) -> Workspace | None:
        """Through the loader, so that many asked for at once are one statement."""
        loaders = info.context.loaders
        row = await loaders.workspaces.load(decode(Prefix.WORKSPACE, id))
        return row and workspace_of(row, loaders)
