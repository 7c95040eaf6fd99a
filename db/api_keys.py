"""Selects and writes on API keys and their secrets.

Whoever changes a key and its secrets locks the key first, so that one change follows the other.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, func, or_, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import ApiKey, ApiKeySecret, User
from db.pages import Order, Owners, pages_of
from db.questions import Page, Window
from db.rows import ApiKeyRow, PresentedKeyRow

PRESENTED = (
    col(ApiKey.id),
    col(ApiKey.user_id),
    col(User.role),
    col(ApiKey.scopes),
    col(ApiKey.addresses),
    col(ApiKey.expires_at),
    col(ApiKeySecret.expires_at),
    col(ApiKey.last_used_at),
)
"""The columns of a PresentedKeyRow, from secrets joined with keys and users."""
IS_PRESENTED = (
    col(ApiKeySecret.secret_hash).in_(bindparam("secret_hashes", expanding=True)),
    col(ApiKey.revoked_at).is_(None),
    col(User.disabled_at).is_(None),
)
_COLUMNS = (
    col(ApiKey.id),
    col(ApiKey.user_id),
    col(ApiKey.name),
    col(ApiKey.token_prefix),
    col(ApiKey.scopes),
    col(ApiKey.addresses),
    col(ApiKey.created_at),
    col(ApiKey.expires_at),
    col(ApiKey.last_used_at),
)
_NEWEST_FIRST = Order(col(ApiKey.created_at), col(ApiKey.id), is_descending=True)
# Built once: it is asked on every request.
_LIVE = (
    select(col(ApiKeySecret.secret_hash), *PRESENTED)
    .join(ApiKey, col(ApiKey.id) == col(ApiKeySecret.api_key_id))
    .join(User, col(User.id) == col(ApiKey.user_id))
    .where(*IS_PRESENTED)
)


async def presented(rows: Rows, secret_hashes: Collection[str]) -> dict[str, PresentedKeyRow]:
    """What the secrets lead to whose keys are not revoked and whose users are not disabled. One indexed select.

    Whether their time is over is told, not judged.
    """
    found = await rows.all(_LIVE, {"secret_hashes": list(secret_hashes)})
    return {row.secret_hash: PresentedKeyRow._make(row[1:]) for row in found}


async def pages(rows: Rows, user_ids: Sequence[UUID], window: Window) -> dict[UUID, Page[ApiKeyRow]]:
    """A window of the keys of each user that are not revoked, the newest first. Who has none in it is left out."""
    statement = select(*_COLUMNS).where(col(ApiKey.revoked_at).is_(None))
    found = await pages_of(rows, statement, Owners(col(ApiKey.user_id), user_ids), _NEWEST_FIRST, window)
    return {
        user_id: Page([ApiKeyRow._make(row) for row in page.items], page.has_next, page.has_previous)
        for user_id, page in found.items()
    }


async def counts(rows: Rows, user_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many keys of each user are not revoked. Who has none is left out."""
    statement = (
        select(col(ApiKey.user_id), func.count().label("number"))
        .where(col(ApiKey.user_id).in_(user_ids), col(ApiKey.revoked_at).is_(None))
        .group_by(col(ApiKey.user_id))
    )
    return {row.user_id: row.number for row in await rows.all(statement)}


async def own(rows: Rows, user_id: UUID, api_key_id: UUID) -> ApiKeyRow | None:
    """A key of this user that is not revoked."""
    is_own = col(ApiKey.id) == api_key_id, col(ApiKey.user_id) == user_id, col(ApiKey.revoked_at).is_(None)
    row = await rows.first(select(*_COLUMNS).where(*is_own))
    return row and ApiKeyRow._make(row)


async def hold_own(tx: Transaction, user_id: UUID, api_key_id: UUID) -> ApiKeyRow | None:
    """A key of this user that is not revoked, locked until the transaction ends."""
    row = await tx.first(
        select(*_COLUMNS)
        .where(col(ApiKey.id) == api_key_id, col(ApiKey.user_id) == user_id, col(ApiKey.revoked_at).is_(None))
        .with_for_update()
    )
    return row and ApiKeyRow._make(row)


async def change(tx: Transaction, row: ApiKeyRow) -> None:
    """Keep other terms of a key."""
    await tx.execute(
        update(ApiKey)
        .where(col(ApiKey.id) == row.id)
        .values(name=row.name, scopes=row.scopes, addresses=row.addresses, expires_at=row.expires_at)
    )


async def revoke(tx: Transaction, api_key_id: UUID, now: datetime) -> None:
    """End a key for good."""
    await tx.execute(update(ApiKey).where(col(ApiKey.id) == api_key_id).values(revoked_at=now))


async def revoke_all(tx: Transaction, user_id: UUID, now: datetime) -> None:
    """End all keys of a user for good."""
    await tx.execute(
        update(ApiKey).where(col(ApiKey.user_id) == user_id, col(ApiKey.revoked_at).is_(None)).values(revoked_at=now)
    )


async def former_secret_ends_at(rows: Rows, api_key_id: UUID) -> datetime | None:
    """Until when the secret before the newest one is good; None without one."""
    statement = select(func.max(col(ApiKeySecret.expires_at)).label("ends_at"))
    found: datetime | None = await rows.scalar(statement.where(col(ApiKeySecret.api_key_id) == api_key_id))
    return found


async def end_secrets(tx: Transaction, api_key_id: UUID, expires_at: datetime) -> None:
    """Let the secrets of a key be good until then, and not longer than they are already."""
    still_good = or_(col(ApiKeySecret.expires_at).is_(None), col(ApiKeySecret.expires_at) > expires_at)
    await tx.execute(
        update(ApiKeySecret).where(col(ApiKeySecret.api_key_id) == api_key_id, still_good).values(expires_at=expires_at)
    )


async def note_uses(tx: Transaction, api_key_ids: Sequence[UUID], now: datetime, interval: timedelta) -> None:
    """Note that keys were used, each unless that was noted within the interval, by another process for instance."""
    is_due = or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) <= now - interval)
    # In one order: two processes that note the same two keys would otherwise wait for each other's locks.
    due = select(col(ApiKey.id)).where(col(ApiKey.id).in_(api_key_ids), is_due).order_by(col(ApiKey.id))
    ids = [api_key_id for (api_key_id,) in await tx.all(due.with_for_update(skip_locked=True))]
    await tx.execute(update(ApiKey).where(col(ApiKey.id).in_(ids)).values(last_used_at=now))


async def forget_ended(tx: Transaction, before: datetime) -> None:
    """Remove keys that were revoked before then, and secrets that a rotation has ended before then."""
    await tx.execute(delete(ApiKey).where(col(ApiKey.revoked_at) < before))
    await tx.execute(delete(ApiKeySecret).where(col(ApiKeySecret.expires_at) < before))
