"""Tokens of mails: what proves that an address is somebody's. Each is good for one purpose, once, and not for long.

A newer one of the same purpose ends the older. A changed password or email ends those that were asked for before it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from db import mail_tokens, users
from db.engine import Database, Rows, Transaction
from db.models import MailToken, MailTokenPurpose
from db.rows import UserRow
from domain import letters
from domain.errors import MailTokenInvalid
from domain.opaque_tokens import draw_token, hash_of
from domain.ports import Ports

KEPT = timedelta(days=1)
"""How long expired ones are kept: a process whose clock runs ahead removes nobody's that is still good."""
_PATH = ("token",)


@dataclass(frozen=True, slots=True)
class Proven:
    """Who used a token, locked, and the address that it was sent to."""

    user: UserRow
    email: str


async def issue(
    tx: Transaction, ports: Ports, user: UserRow, purpose: MailTokenPurpose, email: str
) -> letters.MailToken:
    """A token for a mail to `email`; the user has to be locked already."""
    now, token, lifetime = ports.clock.now(), draw_token(ports.randomness), ports.mail_token_lifetimes[purpose]
    sent = MailToken(
        token_hash=token.hash,
        purpose=purpose,
        user_id=user.id,
        email=email,
        created_at=now,
        expires_at=now + lifetime,
    )
    await mail_tokens.replace(tx, sent)
    return letters.MailToken(token.text, lifetime)


async def holder(rows: Rows, ports: Ports, purpose: MailTokenPurpose, text: str) -> UserRow:
    """Whose token it is, to judge what is to come of it before it is used. Raises MailTokenInvalid."""
    token_hash = hash_of(text)
    sent = await mail_tokens.find(rows, token_hash, purpose, ports.clock.now()) if token_hash else None
    found = await users.by_ids(rows, [sent.user_id]) if sent else []
    if not found or found[0].disabled_at is not None:
        raise MailTokenInvalid(path=_PATH)
    return found[0]


async def use(tx: Transaction, ports: Ports, purpose: MailTokenPurpose, text: str) -> Proven:
    """Use a token up: of many at once, one does. Raises MailTokenInvalid, also for one of a user who is disabled."""
    token_hash, now = hash_of(text), ports.clock.now()
    sent = await mail_tokens.find(tx, token_hash, purpose, now) if token_hash else None
    if (
        token_hash is None
        or sent is None
        or not await users.hold_enabled(tx, sent.user_id)
        or not await mail_tokens.use(tx, token_hash, purpose, now)
    ):
        raise MailTokenInvalid(path=_PATH)
    [user] = await users.by_ids(tx, [sent.user_id])
    return Proven(user, sent.email)


async def sweep(db: Database, now: datetime) -> None:
    """Remove tokens that expired a while ago."""
    async with db.transaction() as tx:
        await mail_tokens.forget_expired(tx, now - KEPT)
