"""Changing a password, and choosing another where one was forgotten."""

from typing import Annotated

import strawberry

from domain import password_changes, password_resets
from domain.errors import WrongPassword
from domain.password_changes import Passwords
from domain.password_resets import NewPassword
from schema.context import Info, changing
from schema.problems import Payload, problems_of, refusable
from schema.users import User, user_of


@strawberry.input(description="Another password for yourself.")
class ChangePasswordInput:
    """See `domain.password_changes.Passwords`."""

    current_password: str = strawberry.field(description="Your password, again.")
    new_password: str = strawberry.field(description="The new one, by the rules of `signup`.")


@strawberry.input(description="Whose password was forgotten.")
class RequestPasswordResetInput:
    """An address."""

    email: str = strawberry.field(description="The account's email.")


@strawberry.input(description="Another password, with the token of a mail.")
class ResetPasswordInput:
    """See `domain.password_resets.NewPassword`."""

    token: str = strawberry.field(description="From the mail. It is good once, and for an hour.")
    password: str = strawberry.field(description="The new password, by the rules of `signup`.")


@strawberry.type(description="What became of changing a password.")
class ChangePasswordPayload(Payload):
    """The answer of `changePassword`."""

    user: User | None = strawberry.field(default=None, description="You; null when refused.")


@strawberry.type(description="What became of asking for a new password.")
class RequestPasswordResetPayload(Payload):
    """The answer of `requestPasswordReset`."""


@strawberry.type(description="What became of choosing a new password.")
class ResetPasswordPayload(Payload):
    """The answer of `resetPassword`."""

    user: User | None = strawberry.field(default=None, description="Whose password it is; null when refused.")


@strawberry.type
class PasswordMutations:
    """Passwords."""

    @strawberry.mutation(
        description="Change your password. All your other sessions end, and you are told by mail; the session that you "
        "ask by goes on."
    )
    @refusable(ChangePasswordPayload)
    async def change_password(
        self, info: Info, input: Annotated[ChangePasswordInput, strawberry.argument(description="Both passwords.")]
    ) -> ChangePasswordPayload:
        """A wrong password is recorded, and refused."""
        context = info.context
        given = Passwords(input.current_password, input.new_password)
        change = await password_changes.prepare(context.db, context.ports, context.viewer, given, context.request)
        async with changing(context) as tx:
            outcome = await password_changes.change_password(tx, context.ports, context.viewer, change, context.request)
        if isinstance(outcome, WrongPassword):
            return ChangePasswordPayload.refused(problems_of(outcome))
        return ChangePasswordPayload(user=user_of(outcome, context.loaders))

    @strawberry.mutation(
        description="Have a mail sent with which a new password can be chosen. The answer is the same whether or not "
        "there is an account with this email."
    )
    @refusable(RequestPasswordResetPayload)
    async def request_password_reset(
        self, info: Info, input: Annotated[RequestPasswordResetInput, strawberry.argument(description="Whose.")]
    ) -> RequestPasswordResetPayload:
        """Counted before anything is looked up, as every mail is."""
        context = info.context
        await password_resets.count_request(context.ports, input.email, context.request)
        async with changing(context) as tx:
            await password_resets.request_reset(tx, context.ports, input.email, context.request)
        return RequestPasswordResetPayload()

    @strawberry.mutation(
        description="Choose a new password with the token of a mail. All sessions of the account end; sign in with the "
        "new password, and with the second factor where one is on."
    )
    @refusable(ResetPasswordPayload)
    async def reset_password(
        self, info: Info, input: Annotated[ResetPasswordInput, strawberry.argument(description="Token and password.")]
    ) -> ResetPasswordPayload:
        """A password that is too weak does not use the token up."""
        context = info.context
        given = NewPassword(input.token, input.password)
        reset = await password_resets.prepare(context.db, context.ports, given, context.request)
        async with changing(context) as tx:
            row = await password_resets.reset_password(tx, context.ports, reset, context.request)
        return ResetPasswordPayload(user=user_of(row, context.loaders))
