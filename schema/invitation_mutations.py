"""Inviting people to a workspace, and accepting."""

from typing import Annotated
from uuid import UUID

import strawberry

from db import models
from db.engine import Rows, Transaction
from db.rows import InvitationRow
from domain import invitations
from domain.idempotency import asked_by
from domain.invitations import Invited
from domain.scopes import Scope
from schema.context import Info, changing
from schema.idempotency import IDEMPOTENCY_KEY, made_once
from schema.ids import Prefix, decode
from schema.invitations import Invitation, invitation_of
from schema.members import WorkspaceRole
from schema.problems import Payload, refusable
from schema.workspaces import Workspace, workspace_of


@strawberry.input(description="Somebody to be invited.")
class InviteMemberInput:
    """See `domain.invitations.Invited`."""

    workspace_id: strawberry.ID = strawberry.field(
        description="The workspace; only its owners may, and not to a personal one."
    )
    email: str = strawberry.field(description="Who. Whether there is an account with it is not told.")
    role: WorkspaceRole = strawberry.field(description="What the person will be able to do in the workspace.")
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@strawberry.input(description="An invitation to be accepted.")
class AcceptInvitationInput:
    """One token."""

    token: str = strawberry.field(description="From the mail. It is for the account that has the invited email.")


@strawberry.input(description="An invitation to be taken back.")
class RevokeInvitationInput:
    """One id."""

    id: strawberry.ID = strawberry.field(description="The invitation; only owners of its workspace may.")


@strawberry.type(description="What became of inviting somebody.")
class InviteMemberPayload(Payload):
    """The answer of `inviteMember`."""

    invitation: Invitation | None = strawberry.field(default=None, description="What was sent; null when refused.")


@strawberry.type(description="What became of accepting.")
class AcceptInvitationPayload(Payload):
    """The answer of `acceptInvitation`."""

    workspace: Workspace | None = strawberry.field(default=None, description="Where you are now; null when refused.")


@strawberry.type(description="What became of taking an invitation back.")
class RevokeInvitationPayload(Payload):
    """The answer of `revokeInvitation`."""

    invitation: Invitation | None = strawberry.field(default=None, description="As it was; null when refused.")


@strawberry.type
class InvitationMutations:
    """Who comes into a workspace."""

    @strawberry.mutation(description="Invite somebody by email. An earlier invitation of the same email is replaced.")
    @refusable(InviteMemberPayload)
    async def invite_member(
        self, info: Info, input: Annotated[InviteMemberInput, strawberry.argument(description="Whom, and as what.")]
    ) -> InviteMemberPayload:
        """Counted before anything is looked up, as every mail is, also where none is sent."""
        context, viewer = info.context, info.context.viewer
        await invitations.count_invitation(context.ports, viewer, input.email, context.request)
        workspace_id = decode(Prefix.WORKSPACE, input.workspace_id)
        invited = Invited(workspace_id, input.email, models.WorkspaceRole[input.role.name])

        async def make(tx: Transaction) -> InvitationRow:
            return await invitations.invite_member(tx, context.ports, viewer, invited, context.request)

        async def again(rows: Rows, invitation_id: UUID) -> InvitationRow | None:
            return await invitations.sent(rows, viewer, invitation_id)

        said = workspace_id, input.email, input.role.name
        asked = asked_by(viewer.required(Scope.ACCOUNT_WRITE), input.idempotency_key, "inviteMember", *said)
        row = await made_once(context, asked, make, again)
        return InviteMemberPayload(invitation=invitation_of(row, context.loaders))

    @strawberry.mutation(description="Come into a workspace that you were invited to. Members keep the role they have.")
    @refusable(AcceptInvitationPayload)
    async def accept_invitation(
        self, info: Info, input: Annotated[AcceptInvitationInput, strawberry.argument(description="The token.")]
    ) -> AcceptInvitationPayload:
        """One verb, one transaction."""
        context = info.context
        async with changing(context) as tx:
            row = await invitations.accept_invitation(tx, context.ports, context.viewer, input.token, context.request)
        return AcceptInvitationPayload(workspace=workspace_of(row, context.loaders))

    @strawberry.mutation(description="Take an invitation back before it is accepted.")
    @refusable(RevokeInvitationPayload)
    async def revoke_invitation(
        self, info: Info, input: Annotated[RevokeInvitationInput, strawberry.argument(description="The invitation.")]
    ) -> RevokeInvitationPayload:
        """One verb, one transaction."""
        context = info.context
        invitation_id = decode(Prefix.INVITATION, input.id)
        async with changing(context) as tx:
            row = await invitations.revoke_invitation(tx, context.ports, context.viewer, invitation_id, context.request)
        return RevokeInvitationPayload(invitation=invitation_of(row, context.loaders))
