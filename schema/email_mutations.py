"""Proving that an email is one's own, and changing it."""

from typing import Annotated

import strawberry

from domain import email_changes, proofs, verifications
from domain.email_changes import EmailChange
from schema.context import Info, changing
from schema.problems import Payload, problems_of, refusable
from schema.users import User, user_of


@strawberry.input(description="Proof that an address is yours.")
class VerifyEmailInput:
    """One token."""

    token: str = strawberry.field(description="From the mail that came after `signup` or `resendVerification`.")


@strawberry.input(description="Another email for yourself.")
class ChangeEmailInput:
    """See `domain.email_changes.EmailChange`."""

    email: str = strawberry.field(description="The new address. Whether somebody else has it is not told.")
    password: str = strawberry.field(description="Your password, again.")


@strawberry.input(description="Proof that a new address is yours.")
class ConfirmEmailInput:
    """One token."""

    token: str = strawberry.field(description="From the mail that `changeEmail` sent to the new address.")


@strawberry.type(description="What became of verifying an email.")
class VerifyEmailPayload(Payload):
    """The answer of `verifyEmail`."""

    user: User | None = strawberry.field(default=None, description="Whose email it is; null when refused.")


@strawberry.type(description="What became of asking for another mail.")
class ResendVerificationPayload(Payload):
    """The answer of `resendVerification`."""

    user: User | None = strawberry.field(default=None, description="You; null when refused.")


@strawberry.type(description="What became of asking for another email.")
class ChangeEmailPayload(Payload):
    """The answer of `changeEmail`."""


@strawberry.type(description="What became of confirming another email.")
class ConfirmEmailPayload(Payload):
    """The answer of `confirmEmail`."""

    user: User | None = strawberry.field(default=None, description="Whose email it is now; null when refused.")


@strawberry.type
class EmailMutations:
    """Emails of accounts."""

    @strawberry.mutation(description="Prove that the email you signed up with is yours. You need not be signed in.")
    @refusable(VerifyEmailPayload)
    async def verify_email(
        self, info: Info, input: Annotated[VerifyEmailInput, strawberry.argument(description="The token.")]
    ) -> VerifyEmailPayload:
        """One verb, one transaction."""
        context = info.context
        async with changing(context) as tx:
            row = await verifications.verify(tx, context.ports, input.token, context.request)
        return VerifyEmailPayload(user=user_of(row, context.loaders))

    @strawberry.mutation(
        description="Have the mail with which you verify your email sent once more; the token of the one before is no "
        "longer good. Does nothing where the email is verified already."
    )
    @refusable(ResendVerificationPayload)
    async def resend_verification(self, info: Info) -> ResendVerificationPayload:
        """Counted, as every mail is."""
        context = info.context
        await verifications.count_resending(context.db, context.ports, context.viewer, context.request)
        async with changing(context) as tx:
            row = await verifications.resend(tx, context.ports, context.viewer)
        return ResendVerificationPayload(user=user_of(row, context.loaders))

    @strawberry.mutation(
        description="Ask for another email. It changes once it is confirmed with `confirmEmail`; until then the old "
        "one stays, and is told. The answer is the same where somebody else has the new one."
    )
    @refusable(ChangeEmailPayload)
    async def change_email(
        self, info: Info, input: Annotated[ChangeEmailInput, strawberry.argument(description="The new one.")]
    ) -> ChangeEmailPayload:
        """A wrong password is recorded, and refused."""
        context = info.context
        ports, viewer, facts = context.ports, context.viewer, context.request
        await email_changes.count_change(ports, viewer, input.email, facts)
        proof = await proofs.compare_own(context.db, ports, viewer, input.password, facts)
        async with changing(context) as tx:
            change = EmailChange(proof, input.email)
            refusal = await email_changes.request_change(tx, ports, viewer, change, facts)
        return ChangeEmailPayload() if refusal is None else ChangeEmailPayload.refused(problems_of(refusal))

    @strawberry.mutation(
        description="Make the address that the token was sent to your email. You need not be signed in. What was sent "
        "to the old address before is no longer good."
    )
    @refusable(ConfirmEmailPayload)
    async def confirm_email(
        self, info: Info, input: Annotated[ConfirmEmailInput, strawberry.argument(description="The token.")]
    ) -> ConfirmEmailPayload:
        """One verb, one transaction."""
        context = info.context
        async with changing(context) as tx:
            row = await email_changes.confirm(tx, context.ports, input.token, context.request)
        return ConfirmEmailPayload(user=user_of(row, context.loaders))
