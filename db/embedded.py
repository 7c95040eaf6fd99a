"""What SQLite is told: to be durable and to keep its keys, and that who writes begins with the write lock."""

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine

SQLITE_BUSY_SECONDS = 60


def prepare_reader(engine: AsyncEngine) -> None:
    """Have each connection be as all have to be."""

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: DBAPIConnection, _record: object) -> None:
        # The driver must not begin transactions by itself: it would take the write lock late, and fail then.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={SQLITE_BUSY_SECONDS * 1000}",  # first, so that it holds for the others
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def prepare_writer(engine: AsyncEngine) -> None:
    """The same, and each transaction begins with the write lock."""
    prepare_reader(engine)
    event.listen(engine.sync_engine, "begin", _begin_immediate)


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
