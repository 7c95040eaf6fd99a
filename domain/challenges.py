"""Challenges: a login whose password was right, until it is completed with the second factor."""

from datetime import timedelta
from uuid import UUID

from db import challenges, users
from db.engine import Transaction
from db.models import Challenge
from domain.errors import ChallengeInvalid, CodeWrong
from domain.events import EventKind, RequestFacts, Subject, event
from domain.opaque_tokens import draw_token, hash_of
from domain.ports import Ports
from domain.two_factor import accept_code

LIFETIME = timedelta(minutes=5)
MAXIMUM_ATTEMPTS = 5


async def begin(tx: Transaction, ports: Ports, user_id: UUID, facts: RequestFacts) -> str:
    """Give out a challenge to somebody who knows the password; the user has to be locked already."""
    now, token = ports.clock.now(), draw_token(ports.randomness)
    await tx.add(Challenge(token_hash=token.hash, user_id=user_id, created_at=now, expires_at=now + LIFETIME))
    await tx.add(event(EventKind.LOGIN_CHALLENGED, Subject(target_id=user_id), facts, now))
    return token.text


async def meet(
    tx: Transaction, ports: Ports, challenge: str, code: str, facts: RequestFacts
) -> UUID | ChallengeInvalid | CodeWrong:
    """Whose challenge it is, once the code is right. It is good for five attempts, five minutes and one login.

    The refusal is returned, not raised, because the attempt counts and is recorded.
    """
    token_hash, now = hash_of(challenge), ports.clock.now()
    user_id = await challenges.user_of(tx, token_hash) if token_hash else None
    if token_hash is None or user_id is None or not await users.hold_enabled(tx, user_id):
        return ChallengeInvalid()
    if not await challenges.attempt(tx, token_hash, MAXIMUM_ATTEMPTS, now):
        return ChallengeInvalid()
    if not await accept_code(tx, ports, user_id, code, facts):
        subject = Subject(target_id=user_id, data={"factor": "code"})
        await tx.add(event(EventKind.LOGIN_FAILED, subject, facts, now))
        return CodeWrong(path=("code",))
    await challenges.remove(tx, token_hash)
    return user_id
