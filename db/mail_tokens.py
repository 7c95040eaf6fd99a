"""Selects and writes on the tokens of mails.

Whoever changes one locks its user first, as whoever removes or changes a user does, so that no two wait for each other.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import MailToken, MailTokenPurpose


class SentRow(NamedTuple):
    """Whose token it is, and the address that it was sent to."""

    user_id: UUID
    email: str


async def find(rows: Rows, token_hash: str, purpose: MailTokenPurpose, now: datetime) -> SentRow | None:
    """A token that is good for this."""
    row = await rows.first(select(col(MailToken.user_id), col(MailToken.email)).where(*_good(token_hash, purpose, now)))
    return row and SentRow._make(row)


async def use(tx: Transaction, token_hash: str, purpose: MailTokenPurpose, now: datetime) -> bool:
    """Use a token up. False when it is not good for this, or not any more: of many at once, one is the first."""
    return await tx.execute(delete(MailToken).where(*_good(token_hash, purpose, now))) == 1


async def replace(tx: Transaction, token: MailToken) -> None:
    """Keep a token in the place of whatever the user had for the same purpose."""
    await end(tx, token.user_id, [token.purpose])
    await tx.add(token)


async def end(tx: Transaction, user_id: UUID, purposes: Sequence[MailTokenPurpose]) -> None:
    """Forget what a user was sent for these purposes."""
    await tx.execute(delete(MailToken).where(col(MailToken.user_id) == user_id, col(MailToken.purpose).in_(purposes)))


async def forget_expired(tx: Transaction, before: datetime) -> None:
    """Remove tokens that expired before then; those that somebody is at stay for the next time."""
    expired = select(col(MailToken.token_hash)).where(col(MailToken.expires_at) < before)
    some = expired.with_for_update(skip_locked=True)
    await tx.execute(delete(MailToken).where(col(MailToken.token_hash).in_(some)))


def _good(token_hash: str, purpose: MailTokenPurpose, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        col(MailToken.token_hash) == token_hash,
        col(MailToken.purpose) == purpose,
        col(MailToken.expires_at) > now,
    )
