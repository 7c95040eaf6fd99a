"""Changing who is in a workspace."""

from typing import Annotated

import strawberry

from db import models
from domain import members
from domain.members import Membership, RoleChange
from domain.scopes import Scope
from schema.context import Info, changing
from schema.ids import Prefix, decode
from schema.members import Member, WorkspaceRole, member_of
from schema.problems import Payload, refusable
from schema.workspaces import Workspace, workspace_of


@strawberry.input(description="Another role for a member.")
class UpdateMemberInput:
    """See `domain.members.RoleChange`."""

    workspace_id: strawberry.ID = strawberry.field(description="The workspace; only its owners may.")
    user_id: strawberry.ID = strawberry.field(description="The member.")
    role: WorkspaceRole = strawberry.field(description="What the member may do from now on.")


@strawberry.input(description="A member who is to go.")
class RemoveMemberInput:
    """See `domain.members.Membership`."""

    workspace_id: strawberry.ID = strawberry.field(description="The workspace; only its owners may.")
    user_id: strawberry.ID = strawberry.field(description="The member.")


@strawberry.input(description="A workspace that you do not want to be a member of any more.")
class LeaveWorkspaceInput:
    """One id."""

    id: strawberry.ID = strawberry.field(description="The workspace.")


@strawberry.type(description="What became of a member's role.")
class UpdateMemberPayload(Payload):
    """The answer of `updateMember`."""

    member: Member | None = strawberry.field(default=None, description="With the new role; null when refused.")


@strawberry.type(description="What became of a member who was to go.")
class RemoveMemberPayload(Payload):
    """The answer of `removeMember`."""

    member: Member | None = strawberry.field(default=None, description="As it was; null when refused.")


@strawberry.type(description="What became of leaving.")
class LeaveWorkspacePayload(Payload):
    """The answer of `leaveWorkspace`."""

    workspace: Workspace | None = strawberry.field(default=None, description="As you saw it; null when refused.")


@strawberry.type
class MemberMutations:
    """Changes to memberships."""

    @strawberry.mutation(description="Give a member another role. A workspace keeps at least one owner.")
    @refusable(UpdateMemberPayload)
    async def update_member(
        self, info: Info, input: Annotated[UpdateMemberInput, strawberry.argument(description="Who, and the role.")]
    ) -> UpdateMemberPayload:
        """One verb, one transaction."""
        context = info.context
        change = RoleChange(_membership(input.workspace_id, input.user_id), models.WorkspaceRole[input.role.name])
        async with changing(context) as tx:
            row = await members.update_member(tx, context.ports, context.viewer, change, context.request)
        return UpdateMemberPayload(member=member_of(row, context.loaders))

    @strawberry.mutation(description="Take somebody out of a workspace. What they brought stays in it.")
    @refusable(RemoveMemberPayload)
    async def remove_member(
        self, info: Info, input: Annotated[RemoveMemberInput, strawberry.argument(description="Who, and where.")]
    ) -> RemoveMemberPayload:
        """Who went may share no other workspace with the viewer, and is shown all the same."""
        context = info.context
        context.viewer.required(Scope.ACCOUNT_WRITE)
        membership = _membership(input.workspace_id, input.user_id)
        user = await context.loaders.users.load(membership.user_id)
        async with changing(context) as tx:
            row = await members.remove_member(tx, context.ports, context.viewer, membership, context.request)
        context.loaders.users.prime(membership.user_id, user)
        return RemoveMemberPayload(member=member_of(row, context.loaders))

    @strawberry.mutation(description="Leave a workspace. What you brought stays in it; its last owner cannot leave.")
    @refusable(LeaveWorkspacePayload)
    async def leave_workspace(
        self, info: Info, input: Annotated[LeaveWorkspaceInput, strawberry.argument(description="The workspace.")]
    ) -> LeaveWorkspacePayload:
        """One verb, one transaction."""
        context = info.context
        workspace_id = decode(Prefix.WORKSPACE, input.id)
        async with changing(context) as tx:
            row = await members.leave_workspace(tx, context.ports, context.viewer, workspace_id, context.request)
        return LeaveWorkspacePayload(workspace=workspace_of(row, context.loaders))


def _membership(workspace_id: str, user_id: str) -> Membership:
    return Membership(decode(Prefix.WORKSPACE, workspace_id), decode(Prefix.USER, user_id))
