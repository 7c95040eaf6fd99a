"""Selects and writes on challenges: logins whose password was right and that wait for the second factor.

Whoever changes one locks its user first, as whoever removes or changes a user does, so that no two wait for each other.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import Challenge


async def user_of(rows: Rows, token_hash: str) -> UUID | None:
    """Whose challenge it is."""
    found: UUID | None = await rows.scalar(
        select(col(Challenge.user_id)).where(col(Challenge.token_hash) == token_hash)
    )
    return found


async def attempt(tx: Transaction, token_hash: str, maximum: int, now: datetime) -> bool:
    """Count an attempt before it is judged. False when there were too many, or the challenge is over or used."""
    changed = await tx.execute(
        update(Challenge)
        .where(
            col(Challenge.token_hash) == token_hash,
            col(Challenge.attempts) < maximum,
            col(Challenge.expires_at) > now,
        )
        .values(attempts=col(Challenge.attempts) + 1)
    )
    return changed == 1


async def remove(tx: Transaction, token_hash: str) -> None:
    """Forget a challenge that was met."""
    await tx.execute(delete(Challenge).where(col(Challenge.token_hash) == token_hash))


async def remove_all_of(tx: Transaction, user_id: UUID) -> None:
    """Forget all challenges of a user."""
    await tx.execute(delete(Challenge).where(col(Challenge.user_id) == user_id))


async def forget_ended(tx: Transaction, before: datetime) -> None:
    """Remove challenges that were over before then."""
    await tx.execute(delete(Challenge).where(col(Challenge.expires_at) < before))
