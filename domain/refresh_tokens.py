"""Refresh tokens: what a session is kept going with. Each is good for one use, and gives the next one.

A used one that comes again is in two hands, of which one is a thief's; nobody can say which, so its session ends.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db import sessions, users
from db.engine import Transaction
from db.models import RefreshToken, Session
from db.rows import UserRow
from domain.errors import RefreshTokenInvalid
from domain.events import EventKind, RequestFacts, Subject, event
from domain.opaque_tokens import draw_token, hash_of
from domain.ports import Ports
from domain.tokens import AccessToken, Holder
from domain.topics import tell_credentials

USER_AGENT_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user with a session: the access token that proves it, and the refresh token for the next one."""

    user: UserRow
    session_id: UUID
    token: AccessToken
    refresh_token: str


async def open_session(tx: Transaction, ports: Ports, user: UserRow, facts: RequestFacts, now: datetime) -> SignedIn:
    """Begin a session for somebody who has proved who it is."""
    session = Session(
        user_id=user.id,
        address=facts.address,
        user_agent=_readable(facts.user_agent),
        created_at=now,
        last_used_at=now,
        expires_at=ports.session_policy.end(now, now),
    )
    await tx.add(session)
    return await _signed_in(tx, ports, user, session.id, session.expires_at)


async def refresh(
    tx: Transaction, ports: Ports, refresh_token: str, facts: RequestFacts
) -> SignedIn | RefreshTokenInvalid:
    """The next tokens of a session. The refusal is returned, not raised, because a used token ends its session.

    Of many who present one token at once, one gets the next; the others end the session for that one, too.
    """
    token_hash, now = hash_of(refresh_token), ports.clock.now()
    held = await sessions.hold_by_token(tx, token_hash) if token_hash else None
    if token_hash is None or held is None or held.revoked_at or held.disabled_at or held.expires_at <= now:
        return RefreshTokenInvalid()
    if not await sessions.use_token(tx, token_hash, now):
        await sessions.revoke(tx, held.id, now)
        tell_credentials(tx, held.user_id)
        subject = Subject(target_id=held.user_id, data={"sessionId": str(held.id)})
        await tx.add(event(EventKind.REFRESH_REUSED, subject, facts, now))
        return RefreshTokenInvalid()
    expires_at = ports.session_policy.end(held.created_at, now)
    await sessions.prolong(tx, held.id, now, expires_at)
    [user] = await users.by_ids(tx, [held.user_id])
    return await _signed_in(tx, ports, user, held.id, expires_at)


async def _signed_in(
    tx: Transaction, ports: Ports, user: UserRow, session_id: UUID, session_ends_at: datetime
) -> SignedIn:
    now, token = ports.clock.now(), draw_token(ports.randomness)
    await tx.add(RefreshToken(token_hash=token.hash, session_id=session_id, created_at=now))
    return SignedIn(user, session_id, ports.tokens.issue(Holder(user.id, session_id), now, session_ends_at), token.text)


def _readable(user_agent: str | None) -> str | None:
    # Whatever a client says; databases do not take all of it, and people are shown the rest.
    kept = "".join(filter(str.isprintable, user_agent or ""))[:USER_AGENT_CHARACTERS]
    return kept or None
