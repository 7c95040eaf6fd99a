"""Selects and writes on checks of the storage."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlmodel import col

from db.engine import Rows, Transaction
from db.models import Job, JobState, StorageCheck, StorageCheckState
from db.pages import Order, page_of
from db.questions import Page, Window
from db.rows import StorageCheckRow

LIVE = (StorageCheckState.WAITING, StorageCheckState.RUNNING)
"""The states of checks that have not ended."""

_COLUMNS = tuple(col(getattr(StorageCheck, name)) for name in StorageCheckRow._fields)
_NEWEST_FIRST = Order(col(StorageCheck.created_at), col(StorageCheck.id), is_descending=True)


async def by_ids(rows: Rows, check_ids: Sequence[UUID]) -> list[StorageCheckRow]:
    """Those of the checks that there are, in no particular order."""
    found = await rows.all(select(*_COLUMNS).where(col(StorageCheck.id).in_(check_ids)))
    return [StorageCheckRow._make(row) for row in found]


async def page(rows: Rows, window: Window) -> Page[StorageCheckRow]:
    """A window of all checks, the newest first."""
    return (await page_of(rows, select(*_COLUMNS), _NEWEST_FIRST, window)).of(StorageCheckRow._make)


async def count(rows: Rows) -> int:
    """How many checks there are."""
    number: int = await rows.scalar(select(func.count()).select_from(StorageCheck))
    return number


async def live(rows: Rows) -> StorageCheckRow | None:
    """The check that has not ended."""
    row = await rows.first(select(*_COLUMNS).where(col(StorageCheck.state).in_(LIVE)))
    return row and StorageCheckRow._make(row)


async def change(tx: Transaction, check_id: UUID, values: dict[str, Any]) -> bool:
    """Change a check that has not ended. Whether there was one."""
    statement = update(StorageCheck).where(col(StorageCheck.id) == check_id, col(StorageCheck.state).in_(LIVE))
    return await tx.execute(statement.values(**values)) == 1


async def add(tx: Transaction, check: StorageCheck) -> bool:
    """Write a check, unless there is one that has not ended. Whether it was written."""
    return await tx.add_unless_there(check)


async def end(tx: Transaction, check_id: UUID, values: dict[str, Any]) -> bool:
    """Change a check that has not ended, and let others begin. Whether there was one."""
    return await change(tx, check_id, {**values, "slot": None})


async def fail_abandoned(tx: Transaction, kind: str, now: datetime) -> None:
    """End the check that has not ended if no job of this kind is to be done any more."""
    undone = exists().where(col(Job.kind) == kind, col(Job.state) != JobState.DEAD)
    values = {"state": StorageCheckState.FAILED, "slot": None, "ended_at": now, "updated_at": now}
    await tx.execute(update(StorageCheck).where(col(StorageCheck.state).in_(LIVE), ~undone).values(**values))
