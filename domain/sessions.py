"""Signing in: a name and a password become an access token, and an access token becomes a viewer."""

from dataclasses import dataclass

from db import users
from db.engine import Database, Transaction
from db.models import UserRole
from db.rows import CredentialsRow, UserRow
from domain.emails import fold_email
from domain.errors import BadCredential, InvalidInput, WrongPassword
from domain.events import EventKind, RequestFacts, Subject, event
from domain.names import fold
from domain.passwords import Verification
from domain.ports import Clock, Ports
from domain.tokens import AccessToken, TokenIssuer
from domain.users import USERNAME
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user and the access token that proves it."""

    user: UserRow
    token: AccessToken


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login whose password has been compared. `new_hash` renews a hash of an older scheme."""

    credentials: CredentialsRow | None
    verification: Verification
    new_hash: str | None = None


async def compare(db: Database, ports: Ports, name: str, password: str) -> Attempt:
    """Compare a password with the account of this username or email. An unknown account costs the same."""
    credentials = None
    if (folded := _folded(name)) is not None:
        async with db.reading() as rows:
            credentials = await users.credentials(rows, folded)
    verification = await ports.hasher.verify(password, credentials and credentials.password_hash)
    new_hash = await ports.hasher.hash(password) if verification.is_outdated else None
    return Attempt(credentials, verification, new_hash)


async def login(tx: Transaction, ports: Ports, attempt: Attempt, facts: RequestFacts) -> SignedIn | WrongPassword:
    """Finish a login. The refusal is returned, not raised, because the failed attempt is recorded."""
    now = ports.clock.now()
    user_id = attempt.credentials and attempt.credentials.user_id
    if (
        user_id is None
        or not attempt.verification.is_right
        or not await users.record_login(tx, user_id, now, attempt.new_hash)
    ):
        await tx.add(event(EventKind.LOGIN_FAILED, Subject(target_id=user_id), facts, now))
        return WrongPassword()
    await tx.add(event(EventKind.LOGIN_SUCCEEDED, Subject(user_id, target_id=user_id), facts, now))
    [user] = await users.by_ids(tx, [user_id])
    return SignedIn(user, ports.tokens.issue(user_id, now))


def sign_in(ports: Ports, user: UserRow) -> SignedIn:
    """A new user's first access token."""
    return SignedIn(user, ports.tokens.issue(user.id, ports.clock.now()))


async def viewer_of_token(db: Database, tokens: TokenIssuer, clock: Clock, token: str) -> Viewer:
    """Who an access token belongs to, asked anew each time so that a disabled user's stops working at once.

    Raises BadCredential, and ExpiredCredential when only its time is over.
    """
    user_id = tokens.verify(token, clock.now())
    role = await db.ask(users.enabled_roles, user_id)
    if role is None:
        raise BadCredential
    return Viewer(user_id, UserRole(role))


def _folded(name: str) -> str | None:
    """The username or email to look for; None when nobody can be called so."""
    if USERNAME.fullmatch(name):
        return fold(name)
    try:
        return fold_email(name)
    except InvalidInput:
        return None
