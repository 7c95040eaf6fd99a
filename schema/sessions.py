"""Signing up and signing in."""

from typing import Annotated, Self

import strawberry

from db.engine import Database
from domain import sessions, users
from domain.errors import InvalidInput, WrongPassword
from domain.sessions import SignedIn
from domain.tokens import TOKEN_TYPE
from domain.users import NewUser
from domain.viewer import Viewer
from schema.context import Info, changing
from schema.loaders import Loaders
from schema.problems import Payload, problems_of, refusable
from schema.scalars import DateTime
from schema.users import User, user_of


@strawberry.input(description="A new account.")
class SignupInput:
    """See `domain.users.NewUser`."""

    username: str = strawberry.field(
        description="3 to 32 of `A-Z a-z 0-9 _ . -`, unique without regard to case.",
    )
    email: str = strawberry.field(description="An email address, unique without regard to case.")
    password: str = strawberry.field(
        description="8 to 1024 characters, not among the most common ones, not the username or email."
    )


@strawberry.input(description="An account and its password. Give the email or the username.")
class LoginInput:
    """One of the two names."""

    email: str | None = strawberry.field(default=None, description="The account's email.")
    username: str | None = strawberry.field(default=None, description="The account's username.")
    password: str = strawberry.field(description="Its password.")


@strawberry.type
class _SignedInPayload(Payload):
    """What `signup` and `login` answer alike."""

    user: User | None = strawberry.field(default=None, description="Who signed in; null when refused.")
    access_token: str | None = strawberry.field(
        default=None, description="Send it as `Authorization: Bearer …`; null when refused."
    )
    token_type: str | None = strawberry.field(default=None, description="`Bearer`; null when refused.")
    expires_at: DateTime | None = strawberry.field(
        default=None, description="When the access token ends; null when refused."
    )
    refresh_token: str | None = strawberry.field(
        default=None, description="What a new access token will be had for; null as long as none are given out."
    )
    challenge: str | None = strawberry.field(
        default=None, description="What a second factor will answer; null as long as none can be set up."
    )

    @classmethod
    def of(cls, db: Database, signed_in: SignedIn) -> Self:
        """An answer with a token, in which the user sees the own account."""
        row, token = signed_in.user, signed_in.token
        return cls(
            user=user_of(row, Loaders(db, Viewer(row.id))),
            access_token=token.text,
            token_type=TOKEN_TYPE,
            expires_at=DateTime(token.expires_at),
        )


@strawberry.type(description="What became of a signup.")
class SignupPayload(_SignedInPayload):
    """The answer of `signup`."""


@strawberry.type(description="What became of a login.")
class LoginPayload(_SignedInPayload):
    """The answer of `login`."""


@strawberry.type
class SessionMutations:
    """People, the first part."""

    @strawberry.mutation(description="Make an account with a personal workspace, and sign in.")
    @refusable(SignupPayload)
    async def signup(
        self, info: Info, input: Annotated[SignupInput, strawberry.argument(description="The account.")]
    ) -> SignupPayload:
        """Judged before the password is hashed, so that a bad request costs little."""
        context = info.context
        new = NewUser(input.username, input.email, input.password)
        async with context.db.reading() as rows:
            await users.judge_new_user(rows, new)
        password_hash = await context.ports.hasher.hash(new.password)
        async with changing(context) as tx:
            user = await users.create_user(tx, context.ports, new, password_hash, context.request)
        return SignupPayload.of(context.db, sessions.sign_in(context.ports, user))

    @strawberry.mutation(description="Sign in with a password. An unknown account is answered like a wrong password.")
    @refusable(LoginPayload)
    async def login(
        self, info: Info, input: Annotated[LoginInput, strawberry.argument(description="Who, and the password.")]
    ) -> LoginPayload:
        """The failed attempt is recorded too."""
        context = info.context
        attempt = await sessions.compare(context.db, context.ports, _name_of(input), input.password)
        async with changing(context) as tx:
            outcome = await sessions.login(tx, context.ports, attempt, context.request)
        if isinstance(outcome, WrongPassword):
            return LoginPayload.refused(problems_of(outcome))
        return LoginPayload.of(context.db, outcome)


def _name_of(given: LoginInput) -> str:
    names = [name for name in (given.email, given.username) if name is not None]
    if len(names) != 1:
        raise InvalidInput(message="Give either the email or the username.", path=("username",))
    return names[0]
