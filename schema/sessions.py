"""Signing up, signing in, and ending sessions."""

from typing import Annotated, Self

import strawberry

from domain import refresh_tokens, sessions, users
from domain.errors import InvalidInput, RefreshTokenInvalid, Refusal, WrongPassword
from domain.rates import count_signup, neighbourhood
from domain.refresh_tokens import SignedIn
from domain.sessions import Challenged, Presented
from domain.tokens import TOKEN_TYPE
from domain.users import NewUser
from domain.viewer import Viewer
from schema.context import Context, Info, changing
from schema.ids import Prefix, decode
from schema.loaders import Loaders
from schema.problems import Payload, problems_of, refusable
from schema.scalars import DateTime
from schema.session_connections import Session, session_of
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


@strawberry.input(description="A challenge, and what meets it.")
class CompleteLoginInput:
    """The second factor."""

    challenge: str = strawberry.field(description="What `login` gave.")
    code: str = strawberry.field(description="The six digits of the authenticator app, or a recovery code.")


@strawberry.input(description="A refresh token.")
class RefreshSessionInput:
    """What `signup`, `login` or the last `refreshSession` gave."""

    refresh_token: str = strawberry.field(description="The last one that was given out for the session.")


@strawberry.input(description="Which session to end beside the one of the access token.")
class LogoutInput:
    """Nothing is required."""

    refresh_token: str | None = strawberry.field(
        default=None, description="A refresh token of the session, for a client whose access token has expired."
    )


@strawberry.input(description="A session to end.")
class RevokeSessionInput:
    """One of the viewer's."""

    id: strawberry.ID = strawberry.field(description="The session.")


@strawberry.type
class _TokensPayload(Payload):
    """What everything that gives out tokens answers alike."""

    user: User | None = strawberry.field(default=None, description="Who signed in; null when refused.")
    access_token: str | None = strawberry.field(
        default=None, description="Send it as `Authorization: Bearer …`; null when refused."
    )
    token_type: str | None = strawberry.field(default=None, description="`Bearer`; null when refused.")
    expires_at: DateTime | None = strawberry.field(
        default=None, description="When the access token ends; null when refused."
    )
    refresh_token: str | None = strawberry.field(
        default=None,
        description="What `refreshSession` takes, once, for the next tokens. Keep it secret; null when refused.",
    )

    @classmethod
    def of(cls, context: Context, signed_in: SignedIn) -> Self:
        """An answer with tokens, in which the user sees the own account."""
        row, token = signed_in.user, signed_in.token
        viewer = Viewer(row.id, session_id=signed_in.session_id)
        return cls(
            user=user_of(row, Loaders(context.db, viewer, context.ports.clock)),
            access_token=token.text,
            token_type=TOKEN_TYPE,
            expires_at=DateTime(token.expires_at),
            refresh_token=signed_in.refresh_token,
        )


@strawberry.type
class _SignedInPayload(_TokensPayload):
    """What `signup` and `login` answer alike."""

    challenge: str | None = strawberry.field(
        default=None,
        description="What `completeLogin` takes with a code, within five minutes, when the account has a second "
        "factor. The tokens are null then; otherwise this is.",
    )


@strawberry.type(description="What became of a signup.")
class SignupPayload(_SignedInPayload):
    """The answer of `signup`."""


@strawberry.type(description="What became of a login.")
class LoginPayload(_SignedInPayload):
    """The answer of `login`."""


@strawberry.type(description="What became of a login with a second factor.")
class CompleteLoginPayload(_TokensPayload):
    """The answer of `completeLogin`."""


@strawberry.type(description="What became of a refresh.")
class RefreshSessionPayload(_TokensPayload):
    """The answer of `refreshSession`."""


@strawberry.type(description="What became of a logout.")
class LogoutPayload(Payload):
    """The answer of `logout`."""


@strawberry.type(description="What became of ending a session.")
class RevokeSessionPayload(Payload):
    """The answer of `revokeSession`."""

    session: Session | None = strawberry.field(default=None, description="The session as it was; null when refused.")


@strawberry.type(description="What became of ending all other sessions.")
class RevokeSessionsPayload(Payload):
    """The answer of `revokeSessions`."""

    count: int = strawberry.field(default=0, description="How many sessions were ended.")


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
        await count_signup(context.ports, context.request)
        async with context.db.reading() as rows:
            await users.judge_new_user(rows, new)
        asker = neighbourhood(context.request.address)
        password_hash = await context.ports.hasher.hash(new.password, asker)
        async with changing(context) as tx:
            signed_in = await sessions.sign_up(tx, context.ports, new, password_hash, context.request)
        return SignupPayload.of(context, signed_in)

    @strawberry.mutation(description="Sign in with a password. An unknown account is answered like a wrong password.")
    @refusable(LoginPayload)
    async def login(
        self, info: Info, input: Annotated[LoginInput, strawberry.argument(description="Who, and the password.")]
    ) -> LoginPayload:
        """The failed attempt is recorded too."""
        context = info.context
        presented = Presented(_name_of(input), input.password)
        attempt = await sessions.compare(context.db, context.ports, presented, context.request)
        async with changing(context) as tx:
            outcome = await sessions.login(tx, context.ports, attempt, context.request)
        if isinstance(outcome, WrongPassword):
            return LoginPayload.refused(problems_of(outcome))
        if isinstance(outcome, Challenged):
            return LoginPayload(challenge=outcome.challenge)
        return LoginPayload.of(context, outcome)

    @strawberry.mutation(description="Finish a login that was answered with a challenge.")
    @refusable(CompleteLoginPayload)
    async def complete_login(
        self,
        info: Info,
        input: Annotated[CompleteLoginInput, strawberry.argument(description="The challenge, and a code.")],
    ) -> CompleteLoginPayload:
        """The failed attempt counts, and is recorded."""
        context = info.context
        async with changing(context) as tx:
            outcome = await sessions.complete_login(tx, context.ports, input.challenge, input.code, context.request)
        if isinstance(outcome, Refusal):
            return CompleteLoginPayload.refused(problems_of(outcome))
        return CompleteLoginPayload.of(context, outcome)

    @strawberry.mutation(
        description="Change a refresh token for a new access token and the next refresh token. Each is good for one "
        "use: presenting a used one ends the session, since somebody else may have it."
    )
    @refusable(RefreshSessionPayload)
    async def refresh_session(
        self, info: Info, input: Annotated[RefreshSessionInput, strawberry.argument(description="The refresh token.")]
    ) -> RefreshSessionPayload:
        """A used token is recorded, and refused."""
        context = info.context
        async with changing(context) as tx:
            outcome = await refresh_tokens.refresh(tx, context.ports, input.refresh_token, context.request)
        if isinstance(outcome, RefreshTokenInvalid):
            return RefreshSessionPayload.refused(problems_of(outcome))
        return RefreshSessionPayload.of(context, outcome)

    @strawberry.mutation(
        description="Sign out: end the session of the access token, and that of the refresh token if one is given. "
        "With a refresh token, ending what has ended is no mistake."
    )
    @refusable(LogoutPayload)
    async def logout(
        self,
        info: Info,
        input: Annotated[LogoutInput | None, strawberry.argument(description="Needed without an access token.")] = None,
    ) -> LogoutPayload:
        """One verb, one transaction."""
        context = info.context
        refresh_token = input.refresh_token if input else None
        async with changing(context) as tx:
            await sessions.log_out(tx, context.ports, context.viewer, refresh_token, context.request)
        return LogoutPayload()

    @strawberry.mutation(description="End one of your sessions: its tokens stop working at once.")
    @refusable(RevokeSessionPayload)
    async def revoke_session(
        self, info: Info, input: Annotated[RevokeSessionInput, strawberry.argument(description="The session.")]
    ) -> RevokeSessionPayload:
        """One verb, one transaction."""
        context = info.context
        session_id = decode(Prefix.SESSION, input.id)
        async with changing(context) as tx:
            row = await sessions.revoke_session(tx, context.ports, context.viewer, session_id, context.request)
        return RevokeSessionPayload(session=session_of(row, context.viewer))

    @strawberry.mutation(description="End all your sessions but the one you ask by.")
    @refusable(RevokeSessionsPayload)
    async def revoke_sessions(self, info: Info) -> RevokeSessionsPayload:
        """One verb, one transaction."""
        context = info.context
        async with changing(context) as tx:
            count = await sessions.revoke_other_sessions(tx, context.ports, context.viewer, context.request)
        return RevokeSessionsPayload(count=count)


def _name_of(given: LoginInput) -> str:
    names = [name for name in (given.email, given.username) if name is not None]
    if len(names) != 1:
        raise InvalidInput(message="Give either the email or the username.", path=("username",))
    return names[0]
