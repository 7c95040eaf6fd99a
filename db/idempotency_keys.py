"""Selects and writes on what was made under keys that clients chose."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import IdempotencyKey


class MadeRow(NamedTuple):
    """What a request said, in a digest, and what it made."""

    request_digest: str
    target_id: UUID


async def find(rows: Rows, user_id: UUID, key: str, after: datetime) -> MadeRow | None:
    """What a user's request made under a key, after that time."""
    statement = select(col(IdempotencyKey.request_digest), col(IdempotencyKey.target_id)).where(
        col(IdempotencyKey.user_id) == user_id, col(IdempotencyKey.key) == key, col(IdempotencyKey.created_at) > after
    )
    row = await rows.first(statement)
    return row and MadeRow._make(row)


async def add(tx: Transaction, made: Sequence[IdempotencyKey], after: datetime) -> None:
    """Keep what was made under keys, in place of what was made under them before that time. Raises Duplicate.

    Always in the same order, so that two who add never wait for each other.
    """
    ordered = sorted(made, key=lambda each: (each.user_id, each.key))
    names = [(each.user_id, each.key) for each in ordered]
    is_named = tuple_(col(IdempotencyKey.user_id), col(IdempotencyKey.key)).in_(names)
    await tx.execute(delete(IdempotencyKey).where(is_named, col(IdempotencyKey.created_at) <= after))
    await tx.add(*ordered)


async def forget(tx: Transaction, before: datetime) -> None:
    """Remove what was made before that time."""
    over = select(col(IdempotencyKey.user_id), col(IdempotencyKey.key)).where(col(IdempotencyKey.created_at) <= before)
    is_over = tuple_(col(IdempotencyKey.user_id), col(IdempotencyKey.key)).in_(over.with_for_update(skip_locked=True))
    await tx.execute(delete(IdempotencyKey).where(is_over))
