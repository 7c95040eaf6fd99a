"""What a question costs a database, in a figure that is the same on a busy machine."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text

from db.engine import Database, Rows

STEP = 10
READ = text("SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables")


async def work_of(db: Database, ask: Callable[[Rows], Awaitable[object]]) -> int:
    """How many rows PostgreSQL reads for it, or how many steps SQLite's machine takes."""
    async with db.transaction() as tx:
        await tx.scalar(text("SELECT 1"))  # from here on the driver is asked in this transaction, too
        if tx.takes_lists:
            before = int(await tx.scalar(READ) or 0)
            await ask(tx)
            return int(await tx.scalar(READ)) - before
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += STEP

        connection: Any = await tx._connection.get_raw_connection()
        await connection.driver_connection.set_progress_handler(count, STEP)
        try:
            await ask(tx)
        finally:
            await connection.driver_connection.set_progress_handler(None, 0)
        return steps
