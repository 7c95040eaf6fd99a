"""Selects and writes on blobs: which are wanted, which are to be removed."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import Blob, Version


async def existing(rows: Rows, keys: Sequence[str]) -> set[str]:
    """Those of the keys that have a row, whatever it says."""
    return {key for (key,) in await rows.all(select(col(Blob.key)).where(col(Blob.key).in_(keys)))}


async def fence(tx: Transaction, keys: Sequence[str], store: str, now: datetime, until: datetime) -> None:
    """Take keys that have no row, so that none can be committed for them before `until`. Raises Duplicate."""
    taken = {"store": store, "size": 0, "digest": "", "crc32": 0, "created_at": now, "deleted_at": until}
    await tx.insert(Blob, [{"key": key, **taken} for key in keys])


async def mark_deleted(tx: Transaction, keys: Sequence[str], now: datetime) -> list[str]:
    """Say that the bytes under those of these keys are to be removed that no version needs any more; which they are."""
    is_needed = select(col(Version.id)).where(col(Version.blob_key) == col(Blob.key)).exists()
    unneeded = update(Blob).where(col(Blob.key).in_(keys), ~is_needed).values(deleted_at=now)
    return [key for (key,) in await tx.all(unneeded.returning(col(Blob.key)))]


async def deleted(rows: Rows, now: datetime, limit: int) -> list[str]:
    """Keys whose bytes are to be removed by now, the longest waiting first."""
    statement = select(col(Blob.key)).where(col(Blob.deleted_at) <= now).order_by(col(Blob.deleted_at))
    return [key for (key,) in await rows.all(statement.limit(limit))]


async def forget(tx: Transaction, keys: Sequence[str]) -> None:
    """Remove the rows of blobs whose bytes are gone. Those that somebody else removes just now are left to that one."""
    gone = select(col(Blob.key)).where(col(Blob.key).in_(keys), col(Blob.deleted_at).is_not(None))
    await tx.execute(delete(Blob).where(col(Blob.key).in_(gone.with_for_update(skip_locked=True))))
