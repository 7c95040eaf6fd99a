"""Changing the own profile, and leaving."""

from typing import Annotated

import strawberry

from domain import departures, profiles, proofs, purges
from domain.backends import Backends
from domain.departures import OwnDeparture
from domain.errors import WrongPassword
from domain.rates import count_signup
from domain.scopes import Scope
from domain.viewer import NOBODY
from schema.context import Info, changing
from schema.ids import Prefix, decode
from schema.loaders import Loaders
from schema.problems import Payload, problems_of, refusable
from schema.users import User, user_of


@strawberry.input(description="What you say of yourself.")
class UpdateProfileInput:
    """One name."""

    username: str = strawberry.field(
        description="3 to 32 of `A-Z a-z 0-9 _ . -`, unique without regard to case.",
    )


@strawberry.input(description="The end of your account.")
class DeleteAccountInput:
    """See `domain.departures.OwnDeparture`."""

    password: str = strawberry.field(description="Your password, again.")
    hand_over_to: strawberry.ID | None = strawberry.field(
        default=None,
        description="The user who is to own the shared workspaces that nobody else owns: a member of each of them.",
    )


@strawberry.type(description="What became of a profile.")
class UpdateProfilePayload(Payload):
    """The answer of `updateProfile`."""

    user: User | None = strawberry.field(default=None, description="You, as you are called now; null when refused.")


@strawberry.type(description="What became of the end of an account.")
class DeleteAccountPayload(Payload):
    """The answer of `deleteAccount`."""

    user: User | None = strawberry.field(
        default=None, description="Who it was; its account is null, and so is this when refused."
    )


@strawberry.type
class AccountMutations:
    """The own account."""

    @strawberry.mutation(description="Take another username, by the rules of `signup`.")
    @refusable(UpdateProfilePayload)
    async def update_profile(
        self, info: Info, input: Annotated[UpdateProfileInput, strawberry.argument(description="The profile.")]
    ) -> UpdateProfilePayload:
        """Counted like a signup, for it tells as much of who there is."""
        context = info.context
        context.viewer.required(Scope.ACCOUNT_WRITE)
        await count_signup(context.ports, context.request)
        async with changing(context) as tx:
            row = await profiles.change_username(tx, context.ports, context.viewer, input.username, context.request)
        return UpdateProfilePayload(user=user_of(row, context.loaders))

    @strawberry.mutation(
        description="Delete your account for good, with your personal workspace, its files and bytes, and the shared "
        "workspaces that have no other member. Where others are members and nobody else owns, hand over. What you "
        "brought to workspaces of others stays there."
    )
    @refusable(DeleteAccountPayload)
    async def delete_account(
        self, info: Info, input: Annotated[DeleteAccountInput, strawberry.argument(description="The password.")]
    ) -> DeleteAccountPayload:
        """Away at once; files and bytes follow after the commit."""
        context = info.context
        hand_over_to = None if input.hand_over_to is None else decode(Prefix.USER, input.hand_over_to)
        proof = await proofs.compare_own(context.db, context.ports, context.viewer, input.password, context.request)
        departure = OwnDeparture(proof, hand_over_to)
        async with changing(context) as tx:
            outcome = await departures.delete_account(tx, context.ports, context.viewer, departure, context.request)
        if isinstance(outcome, WrongPassword):
            return DeleteAccountPayload.refused(problems_of(outcome))
        for workspace_id in outcome.workspace_ids:
            await purges.begin(Backends(context.db, context.store, context.ports), workspace_id)
        nobody = Loaders(context.db, NOBODY, context.ports.clock)
        return DeleteAccountPayload(user=user_of(outcome.user, nobody))
