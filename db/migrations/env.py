"""Alembic's entry: connects without the application's pragmas, since batch changes on SQLite copy tables."""

import asyncio
import os
from typing import Literal

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from db.models import JSON_COLUMN, Record


def configured_url() -> str:
    """The URL given by the caller, or by the environment for the `alembic` command."""
    return context.config.attributes.get("url") or os.environ["CAIRN_DATABASE_URL"]


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Name the JSON columns as models.py does; Alembic's own rendering of the variant does not run."""
    return "JSON_COLUMN" if kind == "type" and item is JSON_COLUMN else False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Record.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    engine = create_async_engine(configured_url(), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # Kept in the file; changing it later would not wait for other processes.
            await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(main())
