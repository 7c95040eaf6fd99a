"""Records and bytes side by side: two sorted lists, merged without ever holding one of them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol, TypeVar

from db import blobs
from db.engine import Database
from db.rows import BlobRow
from storage.store import Entry, Inventory

BATCH = 500


class Keyed(Protocol):
    """What has a key."""

    @property
    def key(self) -> str:
        """What it is sorted by."""
        ...


class Pair(NamedTuple):
    """What is recorded of a key, and what lies there; one of them, or both. As of the moment each was listed."""

    record: BlobRow | None
    entry: Entry | None

    @property
    def key(self) -> str:
        """What they have in common."""
        return (self.record or self.entry or _NOTHING).key


_NOTHING = Entry("", 0, 0)
Item = TypeVar("Item", bound=Keyed)


async def pairs(db: Database, store: Inventory, after: str) -> AsyncGenerator[Pair, None]:
    """Every key after this one that is recorded or has a blob, in order. Whoever stops early closes it."""
    async with aclosing(_each(records(db, after))) as recorded, aclosing(_each(store.blobs(after))) as lying:
        record, entry = await anext(recorded, None), await anext(lying, None)
        while record is not None or entry is not None:
            key = min(each.key for each in (record, entry) if each is not None)
            pair = Pair(record if record and record.key == key else None, entry if entry and entry.key == key else None)
            yield pair
            record = record if pair.record is None else await anext(recorded, None)
            entry = entry if pair.entry is None else await anext(lying, None)


async def records(db: Database, after: str) -> AsyncGenerator[Sequence[BlobRow], None]:
    """The records of all blobs after a key, in batches; those of other stores, too."""
    while True:
        async with db.reading() as rows:
            found = await blobs.after(rows, after, BATCH)
        if not found:
            return
        yield found
        after = found[-1].key


async def _each(batches: AsyncGenerator[Sequence[Item], None]) -> AsyncGenerator[Item, None]:
    async with aclosing(batches):
        async for batch in batches:
            for item in batch:
                yield item
