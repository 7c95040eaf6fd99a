"""Selects and writes on the devices that users have signed in from."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import KnownDevice, User


async def is_known(rows: Rows, folded_name: str, place: str, since: datetime) -> bool:
    """Whether the user of this folded username or email has signed in from there since then.

    No row comes back where there is no such user, and none where there is one that is not known there.
    """
    found = await rows.first(
        select(col(KnownDevice.place))
        .join(User, col(User.id) == col(KnownDevice.user_id))
        .where(
            or_(col(User.username_folded) == folded_name, col(User.email_folded) == folded_name),
            col(KnownDevice.place) == place,
            col(KnownDevice.last_login_at) >= since,
        )
    )
    return found is not None


async def remember(tx: Transaction, user_id: UUID, place: str, now: datetime) -> None:
    """Note a login from there. The caller holds the user's row, so that nobody else inserts the same."""
    mine = (col(KnownDevice.user_id) == user_id, col(KnownDevice.place) == place)
    if not await tx.execute(update(KnownDevice).where(*mine).values(last_login_at=now)):
        await tx.add(KnownDevice(user_id=user_id, place=place, last_login_at=now))


async def forget(tx: Transaction, user_id: UUID, before: datetime) -> None:
    """Remove what the user has not signed in from since then."""
    await tx.execute(
        delete(KnownDevice).where(col(KnownDevice.user_id) == user_id, col(KnownDevice.last_login_at) < before)
    )
