"""Selects and writes on blobs: which are wanted, which are to be removed."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import Blob


async def existing(rows: Rows, keys: Sequence[str]) -> set[str]:
    """Those of the keys that a row points at, deleted ones included."""
    return {key for (key,) in await rows.all(select(col(Blob.key)).where(col(Blob.key).in_(keys)))}


async def mark_deleted(tx: Transaction, keys: Sequence[str], now: datetime) -> None:
    """Say that the bytes under these keys are to be removed."""
    await tx.execute(update(Blob).where(col(Blob.key).in_(keys)).values(deleted_at=now))


async def deleted(rows: Rows, limit: int) -> list[str]:
    """Keys whose bytes are to be removed, the longest waiting first."""
    statement = select(col(Blob.key)).where(col(Blob.deleted_at).is_not(None)).order_by(col(Blob.deleted_at))
    return [key for (key,) in await rows.all(statement.limit(limit))]


async def forget(tx: Transaction, keys: Sequence[str]) -> None:
    """Remove the rows of blobs whose bytes are gone."""
    await tx.execute(delete(Blob).where(col(Blob.key).in_(keys), col(Blob.deleted_at).is_not(None)))
