"""Selects and writes on blobs: which are wanted, which are to be removed."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, func, select, update
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import Blob, BlobDamage, Version
from db.rows import BlobRow

_COLUMNS = tuple(col(getattr(Blob, name)) for name in BlobRow._fields)


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


async def after(rows: Rows, key: str, limit: int) -> list[BlobRow]:
    """The records of blobs whose keys come after this one, in the order of their keys."""
    return await _found(rows, select(*_COLUMNS).where(col(Blob.key) > key).order_by(col(Blob.key)).limit(limit))


async def by_key(rows: Rows, key: str) -> BlobRow | None:
    """The record of a blob."""
    return next(iter(await _found(rows, select(*_COLUMNS).where(col(Blob.key) == key))), None)


async def count(rows: Rows) -> int:
    """How many blobs are recorded, those that are to be removed among them."""
    number: int = await rows.scalar(select(func.count()).select_from(Blob))
    return number


async def are_any_wanted(rows: Rows) -> bool:
    """Whether there is a blob at all that is not to be removed."""
    return bool(await rows.scalar(select(exists().where(col(Blob.deleted_at).is_(None)))))


async def unverified(rows: Rows, store: str, before: datetime, limit: int) -> list[BlobRow]:
    """Sound blobs of a store that nobody has read since that time: those never read since they came, then the others.

    In both the longest waiting first.
    """
    wanted = select(*_COLUMNS).where(
        col(Blob.store) == store, col(Blob.deleted_at).is_(None), col(Blob.damage).is_(None)
    )
    never = wanted.where(col(Blob.verified_at).is_(None), col(Blob.created_at) <= before)
    found = await _found(rows, never.order_by(col(Blob.created_at)).limit(limit))
    if found:
        return found
    again = wanted.where(col(Blob.verified_at) <= before)
    return await _found(rows, again.order_by(col(Blob.verified_at)).limit(limit))


async def damaged(rows: Rows, store: str, key: str, limit: int) -> list[BlobRow]:
    """Blobs of a store that are damaged, whose keys come after this one, in the order of their keys."""
    wanted = select(*_COLUMNS).where(
        col(Blob.store) == store, col(Blob.damage).is_not(None), col(Blob.deleted_at).is_(None), col(Blob.key) > key
    )
    return await _found(rows, wanted.order_by(col(Blob.key)).limit(limit))


async def set_damage(tx: Transaction, key: str, damage: BlobDamage | None) -> bool:
    """Say what is wrong with a blob that is wanted, or that nothing is. Whether anything else was said before."""
    said = col(Blob.damage).is_distinct_from(damage)
    statement = update(Blob).where(col(Blob.key) == key, col(Blob.deleted_at).is_(None), said)
    return await tx.execute(statement.values(damage=damage)) == 1


async def note_verified(tx: Transaction, key: str, now: datetime) -> None:
    """Say that the bytes of a blob have been read."""
    await tx.execute(update(Blob).where(col(Blob.key) == key).values(verified_at=now))


async def _found(rows: Rows, statement: Selection) -> list[BlobRow]:
    return [BlobRow._make(row) for row in await rows.all(statement)]
