"""Switching the second factor on and off. Logging in with it stands in `schema/sessions.py`."""

from typing import Annotated

import strawberry

from domain import proofs, two_factor
from domain.errors import CodeWrong, Refusal
from domain.rates import give_back
from domain.two_factor import BothFactors
from schema.context import Info, changing
from schema.problems import Payload, problems_of, refusable


@strawberry.input(description="Who wants a second factor.")
class StartTwoFactorInput:
    """The password, again."""

    password: str = strawberry.field(description="Your password, again.")


@strawberry.input(description="The first code of an authenticator app.")
class ConfirmTwoFactorInput:
    """Proof that the app was set up."""

    code: str = strawberry.field(description="The six digits that the app shows.")


@strawberry.input(description="Who wants no second factor any more.")
class DisableTwoFactorInput:
    """Both factors, again."""

    password: str = strawberry.field(description="Your password, again.")
    code: str = strawberry.field(description="A code of the app that was not used before, or a recovery code.")


@strawberry.type(description="What became of starting two-factor.")
class StartTwoFactorPayload(Payload):
    """The answer of `startTwoFactor`."""

    secret: str | None = strawberry.field(
        default=None,
        description="What to type into an authenticator app, in base32. Told this once; null when refused.",
    )
    otpauth_uri: str | None = strawberry.field(
        default=None, description="The same as an `otpauth:` URI, to be shown as a QR code; null when refused."
    )


@strawberry.type(description="What became of confirming two-factor.")
class ConfirmTwoFactorPayload(Payload):
    """The answer of `confirmTwoFactor`."""

    recovery_codes: list[str] | None = strawberry.field(
        default=None,
        description="Ten codes, each of which stands in for the app once. Told this once; null when refused.",
    )


@strawberry.type(description="What became of disabling two-factor.")
class DisableTwoFactorPayload(Payload):
    """The answer of `disableTwoFactor`."""


@strawberry.type
class TwoFactorMutations:
    """The second factor."""

    @strawberry.mutation(
        description="Begin with a second factor: set an authenticator app up with the secret, then `confirmTwoFactor`."
    )
    @refusable(StartTwoFactorPayload)
    async def start_two_factor(
        self, info: Info, input: Annotated[StartTwoFactorInput, strawberry.argument(description="The password.")]
    ) -> StartTwoFactorPayload:
        """A wrong password is recorded, and refused."""
        context = info.context
        proof = await proofs.compare_own(context.db, context.ports, context.viewer, input.password, context.request)
        async with changing(context) as tx:
            outcome = await two_factor.start(tx, context.ports, context.viewer, proof, context.request)
        if isinstance(outcome, Refusal):
            return StartTwoFactorPayload.refused(problems_of(outcome))
        return StartTwoFactorPayload(secret=outcome.secret, otpauth_uri=outcome.otpauth_uri)

    @strawberry.mutation(description="Switch the second factor on: from now on `login` answers with a challenge.")
    @refusable(ConfirmTwoFactorPayload)
    async def confirm_two_factor(
        self, info: Info, input: Annotated[ConfirmTwoFactorInput, strawberry.argument(description="A first code.")]
    ) -> ConfirmTwoFactorPayload:
        """One verb, one transaction."""
        context = info.context
        async with changing(context) as tx:
            codes = await two_factor.confirm(tx, context.ports, context.viewer, input.code, context.request)
        return ConfirmTwoFactorPayload(recovery_codes=codes)

    @strawberry.mutation(description="Switch the second factor off. Its recovery codes are worth nothing after that.")
    @refusable(DisableTwoFactorPayload)
    async def disable_two_factor(
        self,
        info: Info,
        input: Annotated[DisableTwoFactorInput, strawberry.argument(description="The password, and a code.")],
    ) -> DisableTwoFactorPayload:
        """A wrong password or code is recorded, and refused."""
        context = info.context
        proof = await proofs.compare_own(context.db, context.ports, context.viewer, input.password, context.request)
        counted = await two_factor.count_code(context.ports, context.viewer, context.request)
        async with changing(context) as tx:
            given = BothFactors(proof, input.code)
            refusal = await two_factor.disable(tx, context.ports, context.viewer, given, context.request)
        if not isinstance(refusal, CodeWrong):
            await give_back(context.ports, counted)
        return DisableTwoFactorPayload() if refusal is None else DisableTwoFactorPayload.refused(problems_of(refusal))
