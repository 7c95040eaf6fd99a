"""Selects and writes on stream tickets: each lets one event stream of a session begin."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlmodel import col

from db.engine import Transaction
from db.models import StreamTicket


async def use(tx: Transaction, token_hash: str, now: datetime) -> UUID | None:
    """The session of a ticket that is good, which it is not any more. Of many who ask at once, one is answered."""
    mine = col(StreamTicket.token_hash) == token_hash, col(StreamTicket.expires_at) > now
    session_id: UUID | None = await tx.scalar(select(col(StreamTicket.session_id)).where(*mine))
    return session_id if await tx.execute(delete(StreamTicket).where(*mine)) == 1 else None


async def forget_ended(tx: Transaction, before: datetime) -> None:
    """Remove tickets that were over before then."""
    await tx.execute(delete(StreamTicket).where(col(StreamTicket.expires_at) < before))
