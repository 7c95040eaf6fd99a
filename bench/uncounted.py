"""The service without its deltas: `python -m bench.uncounted serve`, to measure what counting costs a commit.

Everything else is as it was: the same rows go by the same one statement, or table by table on SQLite.
"""

from api.commands import main
from db import new_versions as records
from db.engine import Transaction
from db.frequent_inserts import FrequentInsert
from db.models import Blob, Event, File, Version
from db.new_versions import NewRows
from domain import new_versions

_INSERT = FrequentInsert(Blob, File, Version, Event)


async def add(tx: Transaction, new: NewRows) -> None:
    """Write all rows but the deltas."""
    await tx.insert_all(_INSERT, [new.blobs, new.files, new.versions, new.events])


if __name__ == "__main__":
    records.add = add
    new_versions.deltas_of = lambda *_: []
    main()
