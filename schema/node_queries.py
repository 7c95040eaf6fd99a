"""The viewer, and whatever has an id."""

from asyncio import gather
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.dataloader import DataLoader

from domain.errors import InvalidInput
from schema.analytics_exports import analytics_export_of
from schema.connections import PAGE_MAXIMUM
from schema.context import Context, Info
from schema.files import file_of
from schema.ids import Prefix, decode_any
from schema.loaders import Loaders
from schema.nodes import Node
from schema.storage_checks import storage_check_of
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
    loaders, found = context.loaders, decode_any(node_id)
    if found is None or found[0] not in FOUND:
        return None
    load, make = FOUND[found[0]]
    row = await load(loaders).load(found[1])
    return row and make(row, loaders)


FOUND: Mapping[Prefix, tuple[Callable[[Loaders], DataLoader[UUID, Any]], Callable[[Any, Loaders], Node]]] = {
    Prefix.FILE: (lambda loaders: loaders.files, lambda row, _: file_of(row)),
    Prefix.VERSION: (lambda loaders: loaders.versions, lambda row, _: version_of(row)),
    Prefix.WORKSPACE: (lambda loaders: loaders.workspaces, workspace_of),
    Prefix.USER: (lambda loaders: loaders.users, user_of),
    Prefix.UPLOAD: (lambda loaders: loaders.uploads, upload_session_of),
    Prefix.STORAGE_CHECK: (lambda loaders: loaders.storage_checks, lambda row, _: storage_check_of(row)),
    Prefix.ANALYTICS_EXPORT: (lambda loaders: loaders.analytics_exports, analytics_export_of),
}
"""By what an id names: the loader of that noun, and what makes a node of its row."""
