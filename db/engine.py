"""The database: reading on autocommit, writing in transactions, and nothing else commits.

Reads give plain rows, because building table objects costs more than the select itself. On SQLite all writes of a
process go through one connection that begins with the write lock, so that writers queue instead of failing; readers
use the write-ahead log beside it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Executable, Insert, Row, Select, event, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import DisconnectionError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel import SQLModel

from db import migrations, opening
from db.batches import Batches
from db.bus import Bus, News
from db.embedded import BUSY_SECONDS, begin_immediate, connecting_to
from db.frequent import FrequentSelect
from db.frequent_inserts import FrequentInsert, Values
from db.kept import KeptConnections
from db.violations import BROKEN, Declined, Missing, violation, violation_of

ALEMBIC_INI = Path(__file__).parent.parent / "alembic.ini"
SHARED_AT_ONCE = 2
POOL_BY_KEPT = 10
CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
"""A statement that takes longer has lost its server: connections that are silently dropped would hang for hours."""
STREAM_SECONDS = 600
"""The same of a select whose rows are read as they come: its first has to wait for all that is sorted."""

Selection: TypeAlias = Select[*tuple[Any, ...]]
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Question = TypeVar("Question")
Answer = TypeVar("Answer")
SharedRead: TypeAlias = Callable[["Rows", Collection[Question]], Awaitable[Mapping[Question, Answer]]]
SharedWrite: TypeAlias = Callable[["Transaction", Sequence[Item]], Awaitable[Sequence[Outcome]]]

# The standard has no way to say it, so each dialect has its own insert that takes what is there already for an answer.
_INSERTS: dict[str, Callable[..., sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


class NotMigrated(Exception):  # noqa: N818
    """The database is not at the newest migration."""


class Rows:
    """A connection to read from."""

    __slots__ = ("_connection",)

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def all(self, statement: Executable, parameters: dict[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Every row of a select."""
        return (await self._connection.execute(statement, parameters)).all()

    async def first(self, statement: Executable, parameters: dict[str, Any] | None = None) -> Row[Any] | None:
        """The first row of a select, or None."""
        return (await self._connection.execute(statement, parameters)).first()

    async def frequent(self, select: FrequentSelect, parameters: dict[str, Any]) -> Sequence[Any]:
        """Every row of a select that is asked on every request; rows are sequences of its columns."""
        if not self.takes_lists:
            return await self.all(select.statement, parameters)
        # The driver's own connection: it is on autocommit here, and knows the text from the last time.
        text, arguments = select.asked(parameters)
        found: Sequence[Any] = await self._driver.fetch(text, *arguments)
        return found

    @asynccontextmanager
    async def stream(
        self, select: FrequentSelect, parameters: dict[str, Any], batch: int
    ) -> AsyncIterator[AsyncIterator[Sequence[Any]]]:
        """The rows of a select as of one moment, so many at a time, and no more of them in memory.

        Outside transactions. Until its block ends the database keeps what was there at that moment for it.
        """
        if self.takes_lists:
            text, arguments = select.asked(parameters)
            async with self._driver.transaction(readonly=True):
                cursor = await self._driver.cursor(text, *arguments, timeout=STREAM_SECONDS)
                yield _batches(partial(cursor.fetch, batch, timeout=STREAM_SECONDS))
        else:
            found = await self._connection.stream(select.statement, parameters)
            # Its own block would leave it open where something is raised, and its connection in the past.
            try:
                yield _batches(partial(found.fetchmany, batch))
            finally:
                await found.close()

    async def scalar(self, statement: Executable, parameters: dict[str, Any] | None = None) -> Any:  # noqa: ANN401
        """The first column of the first row, or None."""
        return (await self._connection.execute(statement, parameters)).scalar()

    @property
    def takes_lists(self) -> bool:
        """Whether a parameter may be a list: PostgreSQL's arrays."""
        return self._connection.dialect.name == "postgresql"

    @property
    def _adapted(self) -> Any:  # noqa: ANN401 - what SQLAlchemy makes of the driver's connection
        return cast("Any", self._connection.sync_connection).connection.dbapi_connection

    @property
    def _driver(self) -> Any:  # noqa: ANN401 - PostgreSQL's own
        return self._adapted.driver_connection


class Pool(NamedTuple):
    """How many connections are in use, and how many there may be."""

    in_use: int
    limit: int


@dataclass(frozen=True, slots=True)
class _Failed:
    fault: Exception


class Transaction(Rows):
    """A connection that also writes; what it wrote is committed when its block ends, or not at all."""

    __slots__ = ("_acts", "_news")

    def __init__(self, connection: AsyncConnection, news: list[News], acts: list[Callable[[], None]]) -> None:
        super().__init__(connection)
        self._news = news
        self._acts = acts

    async def frequent(self, select: FrequentSelect, parameters: dict[str, Any]) -> Sequence[Any]:
        """Every row of the select, as seen by this transaction. Raises Duplicate and Missing where it writes."""
        if self.takes_lists:
            await self._begin_for_driver()
        try:
            return await super().frequent(select, parameters)
        except BROKEN as error:
            raise violation_of(error) from error

    async def _begin_for_driver(self) -> None:
        """Begin as SQLAlchemy does with its own first statement, so that what the driver is asked is part of it."""
        if not self._driver.is_in_transaction():
            await self._adapted._start_transaction()  # noqa: SLF001 - it has no other door to it

    def tell(self, topic: str, **body: Any) -> None:  # noqa: ANN401 - whatever JSON has
        """Have those who listen to a topic told, in this process and in others, once this is committed."""
        news = News(topic, body)
        if news not in self._news:
            self._news.append(news)

    def afterwards(self, act: Callable[[], None]) -> None:
        """Have something done in this process once this is committed. It must not raise."""
        self._acts.append(act)

    async def execute(self, statement: Executable, parameters: dict[str, Any] | None = None) -> int:
        """Run an update or delete and give the number of rows it touched. Raises Duplicate and Missing."""
        try:
            return (await self._connection.execute(statement, parameters)).rowcount
        except IntegrityError as error:
            raise violation(error) from error

    async def execute_each(self, statement: Executable, parameters: list[dict[str, Any]]) -> None:
        """Run a statement once for each of these parameters, in order, without waiting in between."""
        await self._connection.execute(statement, parameters)

    async def add(self, *models: SQLModel) -> None:
        """Insert rows, in order. Raises Duplicate and Missing."""
        for table, rows in groupby(models, type):
            await self.insert(table, [row.model_dump() for row in rows])

    async def insert(self, table: type[SQLModel], values: list[dict[str, Any]]) -> None:
        """Insert many rows of one table in one statement. Raises Duplicate and Missing."""
        try:
            await self._connection.execute(_insert(table), values)
        except IntegrityError as error:
            raise violation(error) from error

    async def insert_all(self, insert: FrequentInsert, values: Sequence[Values]) -> None:
        """Insert rows of several tables, in one statement where that can be. Raises Duplicate and Missing."""
        if self.takes_lists:
            await self.frequent(insert.statement, insert.parameters(values))
            return
        for table, rows in zip(insert.tables, values, strict=True):
            if rows:
                await self.insert(table, list(rows))

    def inserting(self, table: type[SQLModel]) -> sqlite.Insert | postgresql.Insert:
        """An insert that can say what to do where rows with the same unique values are there."""
        return _INSERTS[self._connection.dialect.name](table)

    async def add_unless_there(self, model: SQLModel) -> bool:
        """Insert a row unless one with the same unique values is there or is being committed. Whether it was."""
        statement = self.inserting(type(model)).on_conflict_do_nothing()
        return await self.execute(statement, model.model_dump()) == 1


class Database:
    """Where transactions come from. One per process."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.is_embedded = make_url(url).get_backend_name() == "sqlite"
        # Faults are logged, and the parameters of a statement are people's addresses and password hashes.
        if self.is_embedded:
            connecting = connecting_to(url)
            self._writer = create_async_engine(
                url,
                async_creator=connecting,
                hide_parameters=True,
                pool_size=1,
                max_overflow=0,
                pool_timeout=BUSY_SECONDS,
            )
            self._reader = self._autocommit = create_async_engine(
                url,
                async_creator=connecting,
                hide_parameters=True,
                pool_size=pool_size,
                max_overflow=0,
                isolation_level="AUTOCOMMIT",
                skip_autocommit_rollback=True,
            )
            event.listen(self._writer.sync_engine, "begin", begin_immediate)
        else:
            self._writer = create_async_engine(
                url,
                hide_parameters=True,
                pool_size=pool_size,
                max_overflow=0,
                connect_args=opening.options(CONNECT_SECONDS, STATEMENT_SECONDS),
            )
            event.listen(self._writer.sync_engine, "checkout", _refuse_closed)
            self._reader = self._writer
            self._autocommit = self._reader.execution_options(isolation_level="AUTOCOMMIT")
        self._kept = KeptConnections(self._autocommit, pool_size // POOL_BY_KEPT)
        self._asked: dict[SharedRead[Any, Any], Batches[Any, Any]] = {}
        self._shared: dict[SharedWrite[Any, Any], Batches[Any, Any]] = {}
        self.bus = Bus()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Rows]:
        """A connection for selects, each seeing what is committed when it runs."""
        async with self._autocommit.connect() as connection:
            yield Rows(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        news: list[News] = []
        acts: list[Callable[[], None]] = []
        async with self._writer.begin() as connection:
            yield Transaction(connection, news, acts)
        for act in acts:
            act()
        self.bus.tell(news)

    async def ask(self, load: SharedRead[Question, Answer], question: Question) -> Answer | None:
        """What `load` finds for a question, in one statement with all that wait for the same at that moment.

        `load` gives its answers by question, None for those it leaves out, and is the same function each time.
        """
        if load not in self._asked:
            self._asked[load] = Batches(partial(self._load_all, load))
        return cast("Answer | None", await self._asked[load].ask(question))

    async def _load_all(
        self, load: SharedRead[Question, Answer], questions: Collection[Question]
    ) -> Mapping[Question, Answer]:
        async with self._kept.connection() as connection:
            return await load(Rows(connection), questions)

    async def share(self, write: SharedWrite[Item, Outcome], item: Item) -> Outcome:
        """What `write` makes of an item, in a transaction with all items that wait for the same at that moment.

        `write` gives one outcome per item, in order, and is the same function each time; items are told apart by
        identity or value. A Declined among several has each tried in a transaction of its own, since it is not the
        others' fault; so has a Missing, also of one alone, since what was removed meanwhile is found to be gone the
        second time. Whatever else is raised is raised for all. A cancelled caller's item may be written all the same.
        """
        if write not in self._shared:
            at_once = 1 if self.is_embedded else SHARED_AT_ONCE
            self._shared[write] = Batches(partial(self._write_all, write), at_once=at_once)
        outcome = await self._shared[write].ask(item)
        if isinstance(outcome, _Failed):
            raise outcome.fault
        return cast("Outcome", outcome)

    async def _write_all(
        self, write: SharedWrite[Item, Outcome], items: Collection[Item]
    ) -> dict[Item, Outcome | _Failed]:
        try:
            return dict(zip(items, await self._written(write, list(items)), strict=True))
        except Declined as fault:
            if len(items) == 1:
                return dict.fromkeys(items, _Failed(fault))
        except Missing:
            pass
        return {item: await self._write_alone(write, item) for item in items}

    async def _write_alone(self, write: SharedWrite[Item, Outcome], item: Item) -> Outcome | _Failed:
        try:
            [outcome] = await self._written(write, [item])
        except (Declined, Missing) as fault:
            return _Failed(fault)
        return outcome

    async def _written(self, write: SharedWrite[Item, Outcome], items: Sequence[Item]) -> Sequence[Outcome]:
        async with self.transaction() as tx:
            return await write(tx, items)

    async def check(self) -> None:
        """Raise NotMigrated, or whatever the driver raises when the database cannot be reached."""
        async with self._autocommit.connect() as connection:
            current = await connection.run_sync(_current_revision)
        if current != _newest_revision():
            raise NotMigrated(
                f"The database is at migration {current or 'none'}, the service needs {_newest_revision()}."
            )

    def pools(self) -> dict[str, Pool]:
        """The connections by what they are for; where both reads and writes have the same, that is `all`."""
        if self._reader is self._writer:
            return {"all": _pool_of(self._writer, self._kept.idle)}
        return {"reading": _pool_of(self._reader, self._kept.idle), "writing": _pool_of(self._writer, 0)}

    async def close(self) -> None:
        """Give all connections back."""
        await self._kept.close()
        await self._writer.dispose()
        await self._reader.dispose()


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database to a migration, the newest by default. Blocks; not for a running event loop."""
    migrations.run(ALEMBIC_INI, url, revision)


async def _batches(fetch: Callable[[], Awaitable[Sequence[Any]]]) -> AsyncIterator[Sequence[Any]]:
    while some := await fetch():
        yield some


@cache
def _insert(table: type[SQLModel]) -> Insert:
    return insert(table)


@cache
def _newest_revision() -> str | None:
    return ScriptDirectory.from_config(Config(ALEMBIC_INI)).get_current_head()


def _current_revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _pool_of(engine: AsyncEngine, idle: int) -> Pool:
    pool: Any = engine.pool  # of a kind that queues, which has these two
    return Pool(pool.checkedout() - idle, pool.size())


def _refuse_closed(connection: DBAPIConnection, _record: object, _proxy: object) -> None:
    # The driver has seen it when a server went away meanwhile; a ping would tell no more, at three round trips each.
    if connection.driver_connection.is_closed():
        raise DisconnectionError
