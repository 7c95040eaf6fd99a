"""Sessions: a name and a password begin one, an access token of one becomes a viewer, and its person ends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from db import sessions, users
from db.challenges import forget_ended as forget_ended_challenges
from db.engine import Database, Rows, Transaction
from db.models import UserRole
from db.questions import Page, Window
from db.rows import CredentialsRow, SessionRow
from domain import challenges, devices, two_factor, verifications
from domain.analytics_deltas import count_login
from domain.emails import fold_email
from domain.errors import (
    ChallengeInvalid,
    CodeWrong,
    ExpiredCredential,
    InvalidInput,
    NotFound,
    NotSignedIn,
    Unavailable,
    WrongPassword,
)
from domain.events import EventKind, RequestFacts, Subject, event
from domain.names import fold
from domain.opaque_tokens import hash_of
from domain.passwords import Verification
from domain.ports import Clock, Ports
from domain.rates import give_back, neighbourhood
from domain.refresh_tokens import SignedIn, open_session
from domain.tokens import TokenIssuer
from domain.topics import tell_credentials
from domain.users import USERNAME, NewUser, create_user
from domain.viewer import Viewer

KEPT = timedelta(days=1)
"""How long sessions that have ended are kept: a process whose clock runs ahead removes nobody's that still lasts."""
SWEPT_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Challenged:
    """The password was right, and the second factor is still missing."""

    challenge: str


@dataclass(frozen=True, slots=True)
class Presented:
    """The username or email, and the password, of somebody who wants to sign in."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login whose password has been compared. `new_hash` renews a hash of an older scheme."""

    credentials: CredentialsRow | None
    verification: Verification
    new_hash: str | None = None


async def compare(db: Database, ports: Ports, presented: Presented, facts: RequestFacts) -> Attempt:
    """Compare a password with the account of this username or email. An unknown account costs the same.

    Raises RateLimited, before anything is compared, when there were too many guesses.
    """
    credentials = None
    folded = _folded(presented.name)
    counted = await devices.count_login(db, ports, folded, facts)
    if folded is not None:
        async with db.reading() as rows:
            credentials = await users.credentials(rows, folded)
    asker = neighbourhood(facts.address)
    try:
        verification = await ports.hasher.verify(presented.password, credentials and credentials.password_hash, asker)
    except Unavailable:
        await give_back(ports, counted)  # what was not compared was no guess
        raise
    new_hash = await ports.hasher.hash(presented.password, asker) if verification.is_outdated else None
    if verification.is_right and credentials is not None and not credentials.has_second_factor:
        await give_back(ports, counted)  # otherwise the guesses at a code would have no end: each login allows a few
    return Attempt(credentials, verification, new_hash)


async def login(
    tx: Transaction, ports: Ports, attempt: Attempt, facts: RequestFacts
) -> SignedIn | Challenged | WrongPassword:
    """Finish a login, or ask for the second factor where one is on.

    The refusal is returned, not raised, because the failed attempt is recorded.
    """
    now = ports.clock.now()
    compared = attempt.credentials
    if compared is None or not attempt.verification.is_right or not await users.hold(tx, compared):
        await tx.add(event(EventKind.LOGIN_FAILED, Subject(target_id=compared and compared.user_id), facts, now))
        return WrongPassword()
    if attempt.new_hash:
        await users.renew_hash(tx, compared.user_id, attempt.new_hash)
    if await two_factor.is_on(tx, compared.user_id):
        return Challenged(await challenges.begin(tx, ports, compared.user_id, facts))
    return await _sign_in(tx, ports, compared.user_id, facts)


async def complete_login(
    tx: Transaction, ports: Ports, challenge: str, code: str, facts: RequestFacts
) -> SignedIn | ChallengeInvalid | CodeWrong:
    """Finish a login that was challenged. The refusal is returned, because the attempt counts and is recorded."""
    outcome = await challenges.meet(tx, ports, challenge, code, facts)
    return await _sign_in(tx, ports, outcome, facts) if isinstance(outcome, UUID) else outcome


async def sign_up(tx: Transaction, ports: Ports, new: NewUser, password_hash: str, facts: RequestFacts) -> SignedIn:
    """Make a judged account, begin its first session, and have its address verified by a mail.

    Raises Refusals when a name was taken meanwhile.
    """
    user = await create_user(tx, ports, new, password_hash, facts)
    await verifications.send(tx, ports, user)
    return await open_session(tx, ports, user, facts, ports.clock.now())


async def viewer_of_token(db: Database, tokens: TokenIssuer, clock: Clock, token: str) -> Viewer:
    """Who an access token belongs to, asked anew each time.

    So the token stops working at once when its session is ended and when its user is disabled or gone. Raises
    BadCredential, and ExpiredCredential when it was good once.
    """
    now = clock.now()
    holder = tokens.verify(token, now)
    live = await db.ask(sessions.live, holder.session_id)
    if live is None or live.user_id != holder.user_id or live.expires_at <= now:
        raise ExpiredCredential(message="The session of this access token has ended.")
    return Viewer(holder.user_id, UserRole(live.role), holder.session_id)


async def pages(
    rows: Rows, viewer: Viewer, wanted: Sequence[tuple[UUID, Window]], now: datetime
) -> dict[tuple[UUID, Window], Page[SessionRow]]:
    """Windows of users' sessions that have not ended, the newest first: one statement for all of one window.

    Empty for a user who is not the viewer, unless the viewer is an administrator.
    """
    nothing: Page[SessionRow] = Page([], has_next=False, has_previous=False)
    found = dict.fromkeys(wanted, nothing)
    for window in {window for _, window in wanted}:
        seen = [user_id for user_id, own in wanted if own == window and viewer.sees_account_of(user_id)]
        owned = await sessions.pages(rows, seen, window, now)
        found |= {(user_id, window): page for user_id, page in owned.items()}
    return found


async def counts(rows: Rows, viewer: Viewer, user_ids: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    """How many sessions of users have not ended. Nobody is told of others' but administrators."""
    return await sessions.counts(rows, [user_id for user_id in user_ids if viewer.sees_account_of(user_id)], now)


async def log_out(
    tx: Transaction, ports: Ports, viewer: Viewer, refresh_token: str | None, facts: RequestFacts
) -> None:
    """End the viewer's own session, and the one that a refresh token belongs to, used or not.

    What has ended before is no mistake. Raises NotForKeys, and NotSignedIn when there is neither.
    """
    viewer.refuse_keys()
    now = ports.clock.now()
    if refresh_token is None and viewer.session_id is None:
        raise NotSignedIn
    token_hash = None if refresh_token is None else hash_of(refresh_token)
    ending = await sessions.owners_by_token(tx, token_hash) if token_hash else {}
    if viewer.session_id is not None:
        ending[viewer.session_id] = viewer.in_person()
    # In one order: two who end the same two sessions would otherwise wait for each other's locks.
    for session_id, user_id in sorted(ending.items()):
        if await sessions.revoke(tx, session_id, now):
            tell_credentials(tx, user_id)
            await tx.add(event(EventKind.SESSION_ENDED, _about(user_id, session_id), facts, now))


async def revoke_session(
    tx: Transaction, ports: Ports, viewer: Viewer, session_id: UUID, facts: RequestFacts
) -> SessionRow:
    """End one of the viewer's sessions; the session as it was. Raises NotSignedIn, NotForKeys and NotFound."""
    user_id, now = viewer.in_person(), ports.clock.now()
    session = await sessions.hold_own(tx, user_id, session_id, now)
    if session is None:
        raise NotFound(message="There is no such session.", path=("id",))
    await sessions.revoke(tx, session_id, now)
    tell_credentials(tx, user_id)
    await tx.add(event(EventKind.SESSION_REVOKED, _about(user_id, session_id), facts, now))
    return session


async def revoke_other_sessions(tx: Transaction, ports: Ports, viewer: Viewer, facts: RequestFacts) -> int:
    """End all sessions of the viewer but the one that the request comes by; how many they were.

    Raises NotSignedIn and NotForKeys.
    """
    user_id, now = viewer.in_person(), ports.clock.now()
    await users.hold_enabled(tx, user_id)
    ended = await sessions.revoke_all(tx, user_id, now, but=viewer.session_id)
    tell_credentials(tx, user_id)
    if ended:
        subject = Subject(user_id, target_id=user_id, data={"sessions": ended})
        await tx.add(event(EventKind.SESSIONS_REVOKED, subject, facts, now))
    return ended


async def sweep(db: Database, now: datetime) -> None:
    """Remove sessions and challenges that ended a while ago, sessions a few at a time so that nobody waits long."""
    removed = SWEPT_AT_ONCE
    async with db.transaction() as tx:
        await forget_ended_challenges(tx, now - KEPT)
    while removed == SWEPT_AT_ONCE:
        async with db.transaction() as tx:
            removed = await sessions.forget_ended(tx, now - KEPT, SWEPT_AT_ONCE)


async def _sign_in(tx: Transaction, ports: Ports, user_id: UUID, facts: RequestFacts) -> SignedIn:
    now = ports.clock.now()
    await users.record_login(tx, user_id, now)
    [user] = await users.by_ids(tx, [user_id])
    signed_in = await open_session(tx, ports, user, facts, now)
    await devices.remember(tx, user_id, facts, now)
    await tx.add(event(EventKind.LOGIN_SUCCEEDED, _about(user_id, signed_in.session_id), facts, now))
    await count_login(tx, user_id, now)
    return signed_in


def _about(user_id: UUID, session_id: UUID) -> Subject:
    return Subject(user_id, target_id=user_id, data={"sessionId": str(session_id)})


def _folded(name: str) -> str | None:
    """The username or email to look for; None when nobody can be called so."""
    if USERNAME.fullmatch(name):
        return fold(name)
    try:
        return fold_email(name)
    except InvalidInput:
        return None
