"""Selects and writes on users."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import Member, TwoFactor, User
from db.rows import CredentialsRow, UserRow

_COLUMNS = (
    col(User.id),
    col(User.username),
    col(User.email),
    col(User.role),
    col(User.disabled_at),
    col(User.last_login_at),
    col(User.created_at),
)


async def by_ids(rows: Rows, user_ids: Sequence[UUID]) -> list[UserRow]:
    """Those of the users that exist, in no particular order."""
    return [UserRow._make(row) for row in await rows.all(select(*_COLUMNS).where(col(User.id).in_(user_ids)))]


async def visible_by_ids(rows: Rows, viewer_id: UUID, user_ids: Sequence[UUID]) -> list[UserRow]:
    """Those of the users who are members of a workspace that the viewer is a member of, itself included."""
    own, other = aliased(Member), aliased(Member)
    neighbours = (
        select(col(other.user_id))
        .join(own, col(own.workspace_id) == col(other.workspace_id))
        .where(col(own.user_id) == viewer_id)
    )
    found = await rows.all(select(*_COLUMNS).where(col(User.id).in_(user_ids), col(User.id).in_(neighbours)))
    return [UserRow._make(row) for row in found]


async def credentials(rows: Rows, folded_name: str) -> CredentialsRow | None:
    """What to compare a login with, by folded username or email, when the user is not disabled."""
    second_factor = exists().where(col(TwoFactor.user_id) == col(User.id), col(TwoFactor.confirmed_at).is_not(None))
    row = await rows.first(
        select(col(User.id), col(User.password_hash), second_factor).where(
            or_(col(User.username_folded) == folded_name, col(User.email_folded) == folded_name),
            col(User.disabled_at).is_(None),
        )
    )
    return row and CredentialsRow._make(row)


async def taken(rows: Rows, username_folded: str, email_folded: str) -> tuple[bool, bool]:
    """Whether somebody has the username, and whether somebody has the email."""
    found = await rows.all(
        select(col(User.username_folded), col(User.email_folded)).where(
            or_(col(User.username_folded) == username_folded, col(User.email_folded) == email_folded)
        )
    )
    has_username = any(row.username_folded == username_folded for row in found)
    has_email = any(row.email_folded == email_folded for row in found)
    return has_username, has_email


async def credentials_of(rows: Rows, user_id: UUID) -> CredentialsRow | None:
    """What to compare a password with, when the user is not disabled."""
    row = await rows.first(
        select(col(User.id), col(User.password_hash)).where(col(User.id) == user_id, col(User.disabled_at).is_(None))
    )
    return row and CredentialsRow(row.id, row.password_hash)


async def hold(tx: Transaction, compared: CredentialsRow) -> bool:
    """Lock a user until the transaction ends.

    False when the user is gone or disabled by now, or has another password than the one that was compared.
    """
    statement = select(col(User.id)).where(
        col(User.id) == compared.user_id,
        col(User.password_hash) == compared.password_hash,
        col(User.disabled_at).is_(None),
    )
    return await tx.scalar(statement.with_for_update(key_share=True)) is not None


async def hold_enabled(tx: Transaction, user_id: UUID) -> bool:
    """Lock a user until the transaction ends. False when the user is gone or disabled."""
    statement = select(col(User.id)).where(col(User.id) == user_id, col(User.disabled_at).is_(None))
    return await tx.scalar(statement.with_for_update(key_share=True)) is not None


async def renew_hash(tx: Transaction, user_id: UUID, password_hash: str) -> None:
    """Keep a password under another hash."""
    await tx.execute(update(User).where(col(User.id) == user_id).values(password_hash=password_hash))


async def record_login(tx: Transaction, user_id: UUID, now: datetime) -> None:
    """Note the time of a login."""
    await tx.execute(update(User).where(col(User.id) == user_id).values(last_login_at=now))
