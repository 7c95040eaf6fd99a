"""What a question costs a database, in a figure that is the same on a busy machine."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import text

from db.engine import Database, Rows, Transaction

STEP = 10
READ = text("SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables")
LOOKED_AT = text(
    "SELECT relname, pg_stat_get_xact_blocks_fetched(oid) + pg_stat_get_xact_tuples_returned(oid) "
    "+ pg_stat_get_xact_tuples_fetched(oid) AS number FROM pg_class "
    "WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"
)


async def work_of(db: Database, ask: Callable[[Rows], Awaitable[object]]) -> int:
    """How many rows PostgreSQL reads for it, or how many steps SQLite's machine takes."""
    async with db.transaction() as tx:
        await tx.scalar(text("SELECT 1"))  # from here on the driver is asked in this transaction, too
        if not tx.takes_lists:
            return await steps_of(tx, ask)
        before = int(await tx.scalar(READ) or 0)
        await ask(tx)
        return int(await tx.scalar(READ)) - before


async def steps_of(tx: Transaction, ask: Callable[[Transaction], Awaitable[object]]) -> int:
    """How many steps SQLite's machine takes for it."""
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


async def looked_at(tx: Transaction, ask: Callable[[Transaction], Awaitable[object]]) -> dict[str, int]:
    """How many pages and rows PostgreSQL reads for it, of each table and index that it reads; for its plan as well."""
    before = await _looked_at_by_now(tx)
    await ask(tx)
    after = await _looked_at_by_now(tx)
    return {name: number - before[name] for name, number in after.items() if number > before[name]}


async def _looked_at_by_now(tx: Transaction) -> dict[str, int]:
    return {row.relname: row.number for row in await tx.all(LOOKED_AT)}
