"""Deltas: appended in the transaction of what they count, and taken away by whoever folds them."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import delete, select
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import Delta

Subject: TypeAlias = tuple[date, UUID | None, UUID | None, str | None]


class DeltaRow(NamedTuple):
    """A delta: see `db.models.analytics.Delta`."""

    day: date
    workspace_id: UUID | None = None
    user_id: UUID | None = None
    media_type: str | None = None
    files: int = 0
    bytes: int = 0
    uploads: int = 0
    uploaded: int = 0
    downloads: int = 0
    downloaded: int = 0
    logins: int = 0
    users: int = 0

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return self[:4]

    @property
    def numbers(self) -> tuple[int, ...]:
        """What it counts."""
        return self[4:]


NOTHING = (0,) * len(DeltaRow(date.min).numbers)
_COLUMNS = tuple(getattr(Delta, name) for name in DeltaRow._fields)


async def append(tx: Transaction, deltas: Iterable[DeltaRow]) -> None:
    """Write deltas, in one statement. Nobody waits for anybody else's."""
    values = [delta._asdict() for delta in deltas]
    if values:
        await tx.insert(Delta, values)


async def is_any(rows: Rows) -> bool:
    """Whether there is something to fold; asked first, because taking takes locks."""
    return await rows.first(select(col(Delta.id)).limit(1)) is not None


async def take(tx: Transaction, limit: int) -> list[DeltaRow]:
    """Remove up to `limit` deltas that nobody else is removing; what they were."""
    oldest = select(col(Delta.id)).order_by(col(Delta.id)).limit(limit).with_for_update(skip_locked=True)
    taken = delete(Delta).where(col(Delta.id).in_(oldest.scalar_subquery())).returning(*_COLUMNS)
    return [DeltaRow._make(row) for row in await tx.all(taken)]
