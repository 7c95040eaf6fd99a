"""The viewer, and whatever has an id."""

from asyncio import gather
from typing import Annotated

import strawberry

from domain.errors import InvalidInput
from schema.connections import PAGE_MAXIMUM
from schema.context import Context, Info
from schema.files import file_of
from schema.ids import Prefix, decode_any
from schema.nodes import Node
from schema.upload_sessions import upload_session_of
from schema.users import User, user_of
from schema.versions import version_of
from schema.workspaces import workspace_of


@strawberry.type
class NodeQueries:
    """Relay's root fields, and who asks."""

    @strawberry.field(description="Who you are; null when signed out.")
    async def viewer(self, info: Info) -> User | None:
        """Whatever a key is allowed, it may know whose it is."""
        user_id = info.context.viewer.user_id
        row = await info.context.loaders.own.load(user_id) if user_id else None
        return row and user_of(row, info.context.loaders)

    @strawberry.field(description="Whatever has this id, or null when it is absent or not yours to see.")
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Any id.")]
    ) -> Node | None:
        """By the loader of its noun."""
        return await _node(info.context, id)

    @strawberry.field(description="What has these ids, in order, with null for what is absent or not yours to see.")
    async def nodes(
        self, info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Up to 100 ids.")]
    ) -> list[Node | None]:
        """One statement per noun."""
        if len(ids) > PAGE_MAXIMUM:
            raise InvalidInput(message=f"Ask for at most {PAGE_MAXIMUM} nodes, not {len(ids)}.", path=("ids",))
        return await gather(*(_node(info.context, node_id) for node_id in ids))


async def _node(context: Context, node_id: str) -> Node | None:
    match decode_any(node_id):
        case (Prefix.FILE, file_id):
            file = await context.loaders.files.load(file_id)
            return file and file_of(file)
        case (Prefix.VERSION, version_id):
            version = await context.loaders.versions.load(version_id)
            return version and version_of(version)
        case (Prefix.WORKSPACE, workspace_id):
            workspace = await context.loaders.workspaces.load(workspace_id)
            return workspace and workspace_of(workspace, context.loaders)
        case (Prefix.USER, user_id):
            user = await context.loaders.users.load(user_id)
            return user and user_of(user, context.loaders)
        case (Prefix.UPLOAD, upload_id):
            upload = await context.loaders.uploads.load(upload_id)
            return upload and upload_session_of(upload, context.loaders)
        case _:
            return None
