"""A moment of a database: whoever reads sees what was committed then, whatever is written meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.engine import Database, Rows


class Moment(Database):
    """Of a database, reading alone, and one after the other."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Rows]:
        yield self._rows


@asynccontextmanager
async def moment_of(db: Database) -> AsyncIterator[Moment]:
    async with db.reading() as rows:
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if rows.takes_lists else "BEGIN"
        await rows._connection.exec_driver_sql(begin)
        try:
            yield Moment(rows)
        finally:
            await rows._connection.exec_driver_sql("COMMIT")
