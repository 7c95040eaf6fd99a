"""Selects and writes on sessions and their refresh tokens.

Whoever changes both locks the session first, so that no two of them wait for each other.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, delete, func, or_, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.frequent import FrequentSelect
from db.models import Challenge, RefreshToken, Session, User
from db.pages import Order, Owners, pages_of
from db.questions import Page, Window
from db.rows import SessionRow


class LiveRow(NamedTuple):
    """Whose session it is, and until when."""

    user_id: UUID
    role: str
    expires_at: datetime


class PresentedRow(NamedTuple):
    """The session that a refresh token belongs to."""

    id: UUID
    user_id: UUID
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    disabled_at: datetime | None


_COLUMNS = (
    col(Session.id),
    col(Session.user_id),
    col(Session.address),
    col(Session.user_agent),
    col(Session.created_at),
    col(Session.last_used_at),
    col(Session.expires_at),
)
_NEWEST_FIRST = Order(col(Session.created_at), col(Session.id), is_descending=True)
_LIVE = FrequentSelect(
    select(col(Session.id), col(Session.user_id), col(User.role), col(Session.expires_at))
    .join(User, col(User.id) == col(Session.user_id))
    .where(
        col(Session.id).in_(bindparam("session_ids", expanding=True)),
        col(Session.revoked_at).is_(None),
        col(User.disabled_at).is_(None),
    )
)


async def live(rows: Rows, session_ids: Collection[UUID]) -> dict[UUID, LiveRow]:
    """Whose those of the sessions are that are not revoked and whose users are not disabled. One indexed select."""
    found = await rows.frequent(_LIVE, {"session_ids": list(session_ids)})
    return {session_id: LiveRow(*columns) for session_id, *columns in found}


async def pages(rows: Rows, user_ids: Sequence[UUID], window: Window, now: datetime) -> dict[UUID, Page[SessionRow]]:
    """A window of the sessions of each user that have not ended, the newest first. Who has none in it is left out."""
    statement = select(*_COLUMNS).where(*_not_ended(now))
    found = await pages_of(rows, statement, Owners(col(Session.user_id), user_ids), _NEWEST_FIRST, window)
    return {
        user_id: Page([SessionRow._make(row) for row in page.items], page.has_next, page.has_previous)
        for user_id, page in found.items()
    }


async def counts(rows: Rows, user_ids: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    """How many sessions of each user have not ended. Who has none is left out."""
    statement = (
        select(col(Session.user_id), func.count().label("number"))
        .where(col(Session.user_id).in_(user_ids), *_not_ended(now))
        .group_by(col(Session.user_id))
    )
    return {row.user_id: row.number for row in await rows.all(statement)}


async def hold_by_token(tx: Transaction, token_hash: str) -> PresentedRow | None:
    """The session that a refresh token was given out for, locked until the transaction ends."""
    row = await tx.first(
        select(
            col(Session.id),
            col(Session.user_id),
            col(Session.created_at),
            col(Session.expires_at),
            col(Session.revoked_at),
            col(User.disabled_at),
        )
        .join(RefreshToken, col(RefreshToken.session_id) == col(Session.id))
        .join(User, col(User.id) == col(Session.user_id))
        .where(col(RefreshToken.token_hash) == token_hash)
        .with_for_update(of=Session)
    )
    return row and PresentedRow._make(row)


async def owners_by_token(rows: Rows, token_hash: str) -> dict[UUID, UUID]:
    """The user of the session that a refresh token was given out for, by the session; empty without one."""
    found = await rows.all(
        select(col(Session.id), col(Session.user_id))
        .join(RefreshToken, col(RefreshToken.session_id) == col(Session.id))
        .where(col(RefreshToken.token_hash) == token_hash)
    )
    return {row.id: row.user_id for row in found}


async def use_token(tx: Transaction, token_hash: str, now: datetime) -> bool:
    """Mark a refresh token as used. False when it was used before: of many at once, one is the first."""
    changed = await tx.execute(
        update(RefreshToken)
        .where(col(RefreshToken.token_hash) == token_hash, col(RefreshToken.used_at).is_(None))
        .values(used_at=now)
    )
    return changed == 1


async def prolong(tx: Transaction, session_id: UUID, now: datetime, expires_at: datetime) -> None:
    """Note that a session is used, and until when it now lasts."""
    await tx.execute(
        update(Session).where(col(Session.id) == session_id).values(last_used_at=now, expires_at=expires_at)
    )


async def revoke(tx: Transaction, session_id: UUID, now: datetime) -> bool:
    """End a session. False when it had ended before."""
    changed = await tx.execute(
        update(Session).where(col(Session.id) == session_id, *_not_ended(now)).values(revoked_at=now)
    )
    return changed == 1


async def hold_own(tx: Transaction, user_id: UUID, session_id: UUID, now: datetime) -> SessionRow | None:
    """A session of this user that has not ended, locked until the transaction ends."""
    row = await tx.first(
        select(*_COLUMNS)
        .where(col(Session.id) == session_id, col(Session.user_id) == user_id, *_not_ended(now))
        .with_for_update()
    )
    return row and SessionRow._make(row)


async def revoke_all(tx: Transaction, user_id: UUID, now: datetime, *, but: UUID | None = None) -> int:
    """End the sessions of a user, all or all but one, and say how many they were. Logins under way end as well.

    The user has to be locked already.
    """
    await tx.execute(delete(Challenge).where(col(Challenge.user_id) == user_id))
    statement = select(col(Session.id)).where(col(Session.user_id) == user_id, *_not_ended(now))
    # In one order: two sessions that end each other would otherwise wait for each other's locks.
    found = await tx.all(statement.order_by(col(Session.id)).with_for_update())
    ending = [session_id for (session_id,) in found if session_id != but]
    return await tx.execute(update(Session).where(col(Session.id).in_(ending)).values(revoked_at=now))


async def forget_ended(tx: Transaction, before: datetime, limit: int) -> int:
    """Remove sessions that ended before then, with their refresh tokens, and say how many they were."""
    ended = or_(col(Session.expires_at) < before, col(Session.revoked_at) < before)
    some = select(col(Session.id)).where(ended).limit(limit).with_for_update(skip_locked=True)
    return await tx.execute(delete(Session).where(col(Session.id).in_(some)))


def _not_ended(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Session.revoked_at).is_(None), col(Session.expires_at) > now
