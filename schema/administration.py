"""What administrators change: roles, who is kept out, accounts, quotas."""

from typing import Annotated

import strawberry

from db import models
from domain import administration, departures, purges, quotas
from domain.administration import Disabling, UserRoleChange
from domain.backends import Backends
from domain.departures import Departure
from domain.errors import InvalidInput
from domain.quotas import Quota
from schema.context import Info, changing
from schema.ids import Prefix, decode
from schema.problems import Payload, refusable
from schema.scalars import ByteCount
from schema.users import User, UserRole, user_of
from schema.workspaces import Workspace, workspace_of


@strawberry.input(description="Another role for a user.")
class SetUserRoleInput:
    """See `domain.administration.UserRoleChange`."""

    id: strawberry.ID = strawberry.field(description="The user.")
    role: UserRole = strawberry.field(description="What the user may do to the service from now on.")


@strawberry.input(description="Whether a user is kept out.")
class SetUserDisabledInput:
    """See `domain.administration.Disabling`."""

    id: strawberry.ID = strawberry.field(description="The user.")
    disabled: bool = strawberry.field(
        description="True ends everything that the user is signed in with, at once; false lets the user in again."
    )
    reason: str | None = strawberry.field(default=None, description="Why, for the audit log: up to 500 characters.")


@strawberry.input(description="An account to be deleted.")
class DeleteUserInput:
    """See `domain.departures.Departure`."""

    id: strawberry.ID = strawberry.field(description="The user.")
    hand_over_to: strawberry.ID | None = strawberry.field(
        default=None, description="The user who is to own the shared workspaces that nobody else owns."
    )


@strawberry.input(description="How much a workspace may hold, or a user may bring.")
class SetQuotaInput:
    """See `domain.quotas.Quota`. One of the two owners."""

    workspace_id: strawberry.ID | None = strawberry.field(
        default=None, description="The workspace, whoever is a member."
    )
    user_id: strawberry.ID | None = strawberry.field(default=None, description="Or else the user.")
    limit: ByteCount | None = strawberry.field(
        default=None, description="Bytes; 0 is no limit, null the default of the service."
    )


@strawberry.type(description="What became of a user's role.")
class SetUserRolePayload(Payload):
    """The answer of `setUserRole`."""

    user: User | None = strawberry.field(default=None, description="With the new role; null when refused.")


@strawberry.type(description="What became of keeping a user out, or of letting it in.")
class SetUserDisabledPayload(Payload):
    """The answer of `setUserDisabled`."""

    user: User | None = strawberry.field(default=None, description="The user; null when refused.")


@strawberry.type(description="What became of an account to be deleted.")
class DeleteUserPayload(Payload):
    """The answer of `deleteUser`."""

    user: User | None = strawberry.field(default=None, description="As it was; null when refused.")


@strawberry.type(description="What became of a quota.")
class SetQuotaPayload(Payload):
    """The answer of `setQuota`."""

    workspace: Workspace | None = strawberry.field(
        default=None, description="The workspace; null when refused, or when it is about a user."
    )
    user: User | None = strawberry.field(
        default=None, description="The user; null when refused, or when it is about a workspace."
    )


@strawberry.type
class AdministrationMutations:
    """For administrators alone: everybody else is told `FORBIDDEN`."""

    @strawberry.mutation(description="Make a user an administrator, or no longer one. Administrators only.")
    @refusable(SetUserRolePayload)
    async def set_user_role(
        self, info: Info, input: Annotated[SetUserRoleInput, strawberry.argument(description="Who, and the role.")]
    ) -> SetUserRolePayload:
        """The last administrator remains one."""
        context = info.context
        change = UserRoleChange(decode(Prefix.USER, input.id), models.UserRole[input.role.name])
        async with changing(context) as tx:
            row = await administration.set_user_role(tx, context.ports, context.viewer, change, context.request)
        return SetUserRolePayload(user=user_of(row, context.loaders))

    @strawberry.mutation(description="Keep a user out, or let it in again. Administrators only.")
    @refusable(SetUserDisabledPayload)
    async def set_user_disabled(
        self, info: Info, input: Annotated[SetUserDisabledInput, strawberry.argument(description="Who, and why.")]
    ) -> SetUserDisabledPayload:
        """The last administrator is not kept out."""
        context = info.context
        disabling = Disabling(decode(Prefix.USER, input.id), input.disabled, input.reason)
        async with changing(context) as tx:
            row = await administration.set_user_disabled(tx, context.ports, context.viewer, disabling, context.request)
        return SetUserDisabledPayload(user=user_of(row, context.loaders))

    @strawberry.mutation(
        description="Delete an account with its personal workspace, files and bytes included. Administrators only."
    )
    @refusable(DeleteUserPayload)
    async def delete_user(
        self, info: Info, input: Annotated[DeleteUserInput, strawberry.argument(description="Who.")]
    ) -> DeleteUserPayload:
        """Away at once; files and bytes follow after the commit."""
        context = info.context
        hand_over_to = None if input.hand_over_to is None else decode(Prefix.USER, input.hand_over_to)
        departure = Departure(decode(Prefix.USER, input.id), hand_over_to)
        async with changing(context) as tx:
            departed = await departures.delete_user(tx, context.ports, context.viewer, departure, context.request)
        for workspace_id in departed.workspace_ids:
            await purges.begin(Backends(context.db, context.store, context.ports), workspace_id)
        return DeleteUserPayload(user=user_of(departed.user, context.loaders))

    @strawberry.mutation(
        description="Say how much a workspace may hold, or a user may bring. What is there stays, also when it is "
        "more. Administrators only."
    )
    @refusable(SetQuotaPayload)
    async def set_quota(
        self, info: Info, input: Annotated[SetQuotaInput, strawberry.argument(description="Where, and how much.")]
    ) -> SetQuotaPayload:
        """One verb, one transaction."""
        context, viewer = info.context, info.context.viewer
        viewer.administering()
        if (input.workspace_id is None) == (input.user_id is None):
            raise InvalidInput(message="Name a workspace or a user.", path=("workspaceId",))
        async with changing(context) as tx:
            if input.user_id is not None:
                quota = Quota(decode(Prefix.USER, input.user_id), input.limit)
                user = await quotas.set_user_quota(tx, context.ports, viewer, quota, context.request)
            else:
                quota = Quota(decode(Prefix.WORKSPACE, input.workspace_id or ""), input.limit)
                workspace = await quotas.set_workspace_quota(tx, context.ports, viewer, quota, context.request)
        if input.user_id is not None:
            return SetQuotaPayload(user=user_of(user, context.loaders))
        return SetQuotaPayload(workspace=workspace_of(workspace, context.loaders))
