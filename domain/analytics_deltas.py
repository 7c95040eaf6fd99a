"""What is counted, appended as deltas in the transaction of what happened. `domain.analytics_folding` folds them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from operator import add
from typing import NamedTuple
from uuid import UUID

from db import analytics_deltas, analytics_rollups
from db.analytics_deltas import NOTHING, DeltaRow, Subject
from db.engine import Transaction
from db.rows import FileRow
from domain.ledger import Change


class Sent(NamedTuple):
    """Bytes of a download, and how many downloads they make: none where it is only known to have been longer."""

    workspace_id: UUID
    user_id: UUID
    at: datetime
    size: int
    downloads: int


async def count_changes(tx: Transaction, changes: Iterable[Change], now: datetime) -> None:
    """Count what the ledger is told, by media type. What is only reserved is not counted."""
    await analytics_deltas.append(tx, deltas_of(changes, now))


def deltas_of(changes: Iterable[Change], now: datetime) -> list[DeltaRow]:
    """What `count_changes` appends, where it is written with other rows."""
    return _merged(_of_change(change, now) for change in changes)


def deltas_of_downloads(sent: Iterable[Sent]) -> list[DeltaRow]:
    """What is counted of downloads, each on the day that its event has, to be written with other rows."""
    sums: dict[tuple[date, UUID, UUID], tuple[int, int]] = {}
    for each in sent:
        subject = day_of(each.at), each.workspace_id, each.user_id
        downloads, size = sums.get(subject, (0, 0))
        sums[subject] = downloads + each.downloads, size + each.size
    return [DeltaRow(*subject, downloads=number, downloaded=size) for subject, (number, size) in sums.items()]


async def count_login(tx: Transaction, user_id: UUID, now: datetime) -> None:
    """Count that a user signed in."""
    await analytics_deltas.append(tx, [DeltaRow(day_of(now), user_id=user_id, logins=1)])


async def count_signup(tx: Transaction, user_id: UUID, now: datetime) -> None:
    """Count one user more, and have whoever asks for the inactive find the user without waiting for a fold."""
    await analytics_rollups.begin_user(tx, user_id)
    await analytics_deltas.append(tx, [DeltaRow(day_of(now), user_id=user_id, users=1)])


async def count_departure(tx: Transaction, now: datetime) -> None:
    """Count one user less."""
    await analytics_deltas.append(tx, [DeltaRow(day_of(now), users=-1)])


def turned(file: FileRow, former_media_type: str) -> list[Change]:
    """What changes when a file has another media type than before: nothing for the ledger, which knows none."""
    if file.media_type == former_media_type:
        return []
    counts = ((former_media_type, -1), (file.media_type, 1))
    return [Change(file.workspace_id, file.uploaded_by_id, files=files, media_type=name) for name, files in counts]


def day_of(moment: datetime) -> date:
    """The day of UTC."""
    return moment.astimezone(UTC).date()


def _of_change(change: Change, now: datetime) -> DeltaRow:
    return DeltaRow(
        day_of(now),
        change.workspace_id,
        change.user_id,
        change.media_type,
        files=change.files,
        bytes=change.used,
        uploads=change.uploads,
        uploaded=change.used if change.uploads else 0,
    )


def _merged(deltas: Iterable[DeltaRow]) -> list[DeltaRow]:
    """One delta for all that are about the same; none where nothing is counted."""
    sums: dict[Subject, tuple[int, ...]] = {}
    for delta in deltas:
        sums[delta.subject] = tuple(map(add, sums.get(delta.subject, NOTHING), delta.numbers))
    return [DeltaRow(*subject, *numbers) for subject, numbers in sums.items() if any(numbers)]
