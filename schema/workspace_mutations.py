"""Making, renaming and deleting workspaces."""

from typing import Annotated
from uuid import UUID

import strawberry

from db.engine import Rows, Transaction
from db.rows import WorkspaceRow
from domain import purges, workspaces
from domain.backends import Backends
from domain.idempotency import asked_by
from domain.scopes import Scope
from domain.workspaces import Deletion, NewName
from schema.context import Info, changing
from schema.idempotency import IDEMPOTENCY_KEY, made_once
from schema.ids import Prefix, decode
from schema.problems import Payload, refusable
from schema.workspaces import Workspace, workspace_of


@strawberry.input(description="A new workspace that people share.")
class CreateWorkspaceInput:
    """Its name."""

    name: str = strawberry.field(description="What it is called: up to 100 characters. Need not be unique.")
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@strawberry.input(description="Another name for a workspace.")
class RenameWorkspaceInput:
    """See `domain.workspaces.NewName`."""

    id: strawberry.ID = strawberry.field(description="The workspace; only its owners may.")
    name: str = strawberry.field(description="What it is to be called: up to 100 characters.")


@strawberry.input(description="A workspace to be deleted.")
class DeleteWorkspaceInput:
    """See `domain.workspaces.Deletion`."""

    id: strawberry.ID = strawberry.field(description="The workspace; only its owners may, and not a personal one.")
    purge_files: bool = strawberry.field(
        default=False, description="Remove its files for good, too. Otherwise it must be empty."
    )


@strawberry.type(description="What became of a new workspace.")
class CreateWorkspacePayload(Payload):
    """The answer of `createWorkspace`."""

    workspace: Workspace | None = strawberry.field(default=None, description="The new workspace; null when refused.")


@strawberry.type(description="What became of a workspace's rename.")
class RenameWorkspacePayload(Payload):
    """The answer of `renameWorkspace`."""

    workspace: Workspace | None = strawberry.field(default=None, description="With its new name; null when refused.")


@strawberry.type(description="What became of a workspace to be deleted.")
class DeleteWorkspacePayload(Payload):
    """The answer of `deleteWorkspace`."""

    workspace: Workspace | None = strawberry.field(default=None, description="As it was; null when refused.")


@strawberry.type
class WorkspaceMutations:
    """Changes to workspaces."""

    @strawberry.mutation(description="Make a workspace that you own and can invite others to.")
    @refusable(CreateWorkspacePayload)
    async def create_workspace(
        self, info: Info, input: Annotated[CreateWorkspaceInput, strawberry.argument(description="The workspace.")]
    ) -> CreateWorkspacePayload:
        """One verb, one transaction."""
        context, viewer = info.context, info.context.viewer
        user_id = viewer.required(Scope.ACCOUNT_WRITE)

        async def make(tx: Transaction) -> WorkspaceRow:
            return await workspaces.create_workspace(tx, context.ports, viewer, input.name, context.request)

        async def again(rows: Rows, workspace_id: UUID) -> WorkspaceRow | None:
            return await workspaces.created(rows, viewer, workspace_id)

        asked = asked_by(user_id, input.idempotency_key, "createWorkspace", input.name)
        row = await made_once(context, asked, make, again)
        return CreateWorkspacePayload(workspace=workspace_of(row, context.loaders))

    @strawberry.mutation(description="Give a workspace another name.")
    @refusable(RenameWorkspacePayload)
    async def rename_workspace(
        self, info: Info, input: Annotated[RenameWorkspaceInput, strawberry.argument(description="Which, and how.")]
    ) -> RenameWorkspacePayload:
        """One verb, one transaction."""
        context = info.context
        change = NewName(decode(Prefix.WORKSPACE, input.id), input.name)
        async with changing(context) as tx:
            row = await workspaces.rename_workspace(tx, context.ports, context.viewer, change, context.request)
        return RenameWorkspacePayload(workspace=workspace_of(row, context.loaders))

    @strawberry.mutation(description="Take a workspace from all its members, for good.")
    @refusable(DeleteWorkspacePayload)
    async def delete_workspace(
        self, info: Info, input: Annotated[DeleteWorkspaceInput, strawberry.argument(description="The workspace.")]
    ) -> DeleteWorkspacePayload:
        """Away at once for everybody; files and bytes follow after the commit."""
        context = info.context
        deletion = Deletion(decode(Prefix.WORKSPACE, input.id), input.purge_files)
        async with changing(context) as tx:
            row = await workspaces.delete_workspace(tx, context.ports, context.viewer, deletion, context.request)
        await purges.begin(Backends(context.db, context.store, context.ports), row.id)
        return DeleteWorkspacePayload(workspace=workspace_of(row, context.loaders))
