"""Selects and writes on users."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, update
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import Member, TwoFactor, User, UserRole
from db.pages import Order, page_of
from db.questions import Page, UserFilter, UserOrderField, Window
from db.rows import CredentialsRow, UserRow

COLUMNS = (
    col(User.id),
    col(User.username),
    col(User.email),
    col(User.role),
    col(User.disabled_at),
    col(User.last_login_at),
    col(User.created_at),
    col(User.email_verified_at),
)
_LAST_LOGIN = func.coalesce(col(User.last_login_at), col(User.created_at))
_ORDER_COLUMNS: dict[UserOrderField, Mapped[Any] | ColumnElement[Any]] = {
    UserOrderField.USERNAME: col(User.username_folded),
    UserOrderField.EMAIL: col(User.email_folded),
    UserOrderField.CREATED_AT: col(User.created_at),
    UserOrderField.LAST_LOGIN_AT: _LAST_LOGIN,
}


async def by_ids(rows: Rows, user_ids: Sequence[UUID]) -> list[UserRow]:
    """Those of the users that exist, in no particular order."""
    return [UserRow._make(row) for row in await rows.all(select(*COLUMNS).where(col(User.id).in_(user_ids)))]


async def visible_by_ids(rows: Rows, viewer_id: UUID, user_ids: Sequence[UUID]) -> list[UserRow]:
    """Those of the users who are members of a workspace that the viewer is a member of, itself included."""
    own, other = aliased(Member), aliased(Member)
    shared = (
        select(col(other.workspace_id))
        .join(own, col(own.workspace_id) == col(other.workspace_id))
        .where(col(other.user_id) == col(User.id), col(own.user_id) == viewer_id)
    )
    # A value, as in `db.roles`: a join may begin with everybody whom the viewer may see.
    is_neighbour = shared.limit(1).scalar_subquery().is_not(None)
    found = await rows.all(select(*COLUMNS).where(col(User.id).in_(user_ids), is_neighbour))
    return [UserRow._make(row) for row in found]


async def page(rows: Rows, where: UserFilter, order: tuple[UserOrderField, bool], window: Window) -> Page[UserRow]:
    """A window of all users. `order` is the field and whether it descends."""
    field, is_descending = order
    statement = select(*COLUMNS).where(*_conditions(where))
    found = await page_of(rows, statement, Order(_ORDER_COLUMNS[field], col(User.id), is_descending), window)
    return found.of(UserRow._make)


async def count(rows: Rows, where: UserFilter) -> int:
    """How many users there are."""
    number: int = await rows.scalar(select(func.count()).select_from(User).where(*_conditions(where)))
    return number


async def by_username(rows: Rows, username_folded: str) -> UserRow | None:
    """A user by folded username."""
    row = await rows.first(select(*COLUMNS).where(col(User.username_folded) == username_folded))
    return row and UserRow._make(row)


async def by_email(rows: Rows, email_folded: str) -> UserRow | None:
    """A user by folded email, disabled or not."""
    row = await rows.first(select(*COLUMNS).where(col(User.email_folded) == email_folded))
    return row and UserRow._make(row)


async def hold_by_email(tx: Transaction, email_folded: str) -> UserRow | None:
    """A user by folded email, locked until the transaction ends, when it is not disabled."""
    has_email = col(User.email_folded) == email_folded, col(User.disabled_at).is_(None)
    row = await tx.first(select(*COLUMNS).where(*has_email).with_for_update(key_share=True))
    return row and UserRow._make(row)


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


async def lock_administrators(tx: Transaction) -> set[UUID]:
    """Who administers and can sign in; nobody else changes that before this transaction ends.

    Each row is locked in the order of ids, so that two who want them never wait for each other. PostgreSQL looks again
    at a row that it had to wait for: one who was demoted meanwhile is not among them.
    """
    statement = select(col(User.id)).where(col(User.role) == UserRole.ADMIN, col(User.disabled_at).is_(None))
    return {row.id for row in await tx.all(statement.order_by(col(User.id)).with_for_update(key_share=True))}


async def lock(tx: Transaction, user_id: UUID) -> UserRow | None:
    """A user, disabled or not, whom nobody else changes or points at anew before this transaction ends."""
    row = await tx.first(select(*COLUMNS).where(col(User.id) == user_id).with_for_update())
    return row and UserRow._make(row)


async def set_password(tx: Transaction, user_id: UUID, password_hash: str, now: datetime) -> None:
    """Give a user another password."""
    await tx.execute(update(User).where(col(User.id) == user_id).values(password_hash=password_hash, updated_at=now))


async def set_username(tx: Transaction, user_id: UUID, names: tuple[str, str], now: datetime) -> None:
    """Give a user another username, which comes with its folded form. Raises Duplicate."""
    username, folded = names
    values = {"username": username, "username_folded": folded, "updated_at": now}
    await tx.execute(update(User).where(col(User.id) == user_id).values(values))


async def set_email(tx: Transaction, user_id: UUID, emails: tuple[str, str], now: datetime) -> None:
    """Give a user another email, verified now, which comes with its folded form. Raises Duplicate."""
    email, folded = emails
    values = {"email": email, "email_folded": folded, "email_verified_at": now, "updated_at": now}
    await tx.execute(update(User).where(col(User.id) == user_id).values(values))


async def set_email_verified(tx: Transaction, user_id: UUID, now: datetime) -> None:
    """Note that the user's email was proved; the first time stays."""
    unproved = col(User.id) == user_id, col(User.email_verified_at).is_(None)
    await tx.execute(update(User).where(*unproved).values(email_verified_at=now, updated_at=now))


async def set_role(tx: Transaction, user_id: UUID, role: UserRole, now: datetime) -> None:
    """Give a user another role."""
    await tx.execute(update(User).where(col(User.id) == user_id).values(role=role, updated_at=now))


async def set_disabled(tx: Transaction, user_id: UUID, disabled_at: datetime | None, now: datetime) -> None:
    """Keep a user out from a moment on, or let it in again."""
    await tx.execute(update(User).where(col(User.id) == user_id).values(disabled_at=disabled_at, updated_at=now))


async def remove(tx: Transaction, user_id: UUID) -> None:
    """Remove a user with its memberships; files it brought elsewhere stay, without a name."""
    await tx.execute(delete(User).where(col(User.id) == user_id))


def _conditions(where: UserFilter) -> list[ColumnElement[bool]]:
    tests: list[ColumnElement[bool]] = []
    if where.search_folded is not None:
        names = col(User.username_folded), col(User.email_folded)
        tests.append(or_(*(name.contains(where.search_folded, autoescape=True) for name in names)))
    if where.is_disabled is not None:
        tests.append(col(User.disabled_at).is_not(None) if where.is_disabled else col(User.disabled_at).is_(None))
    if where.workspace_id is not None:
        members = select(col(Member.user_id)).where(col(Member.workspace_id) == where.workspace_id)
        tests.append(col(User.id).in_(members))
    tests += [col(User.role) == where.role] if where.role is not None else []
    tests += [where.inactive_since > _LAST_LOGIN] if where.inactive_since is not None else []
    return tests
