"""The rows that received bytes make, of all files that are made together, by one statement."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from db.analytics_deltas import DeltaRow
from db.engine import Transaction
from db.frequent_inserts import FrequentInsert, Values
from db.models import Blob, Delta, Event, File, Version

_INSERT = FrequentInsert(Blob, File, Version, Event, Delta)


class NewRows(NamedTuple):
    """Values by column. `files` are those that were not there before; what is counted of all of them is in `deltas`."""

    blobs: Values
    files: Values
    versions: Values
    events: Values
    deltas: Sequence[DeltaRow]


async def add(tx: Transaction, new: NewRows) -> None:
    """Write them. Raises Duplicate and Missing."""
    deltas: list[dict[str, Any]] = [delta._asdict() for delta in new.deltas]
    await tx.insert_all(_INSERT, [new.blobs, new.files, new.versions, new.events, deltas])
