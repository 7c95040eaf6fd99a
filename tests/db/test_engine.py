import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, col
from uuid_utils.compat import uuid7

from db.engine import Database, Transaction
from db.models import Event, Member, Quota, QuotaKind, User, Workspace, WorkspaceRole
from db.violations import Duplicate, Missing

NOW = datetime.now(UTC)
together: list[list[str]] = []
looked_for: set[str] = set()


def workspace(name: str) -> Workspace:
    return Workspace(name=name, created_at=NOW)


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    yield connection
    await connection.close()


async def names(database: Database) -> list[str]:
    async with database.reading() as rows:
        return [name for (name,) in await rows.all(select(col(Workspace.name)).order_by(col(Workspace.name)))]


async def write_and_fail(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.add(workspace("lost"))
        raise ZeroDivisionError


async def test_a_transaction_commits_when_its_block_ends_and_not_when_it_raises(database_url: str) -> None:
    database = Database(database_url)
    async with database.transaction() as tx:
        await tx.add(workspace("kept"))
        assert await names(database) == []
    with pytest.raises(ZeroDivisionError):
        await write_and_fail(database)
    assert await names(database) == ["kept"]
    await database.close()


async def test_a_duplicate_tells_which_column_it_is_about(database_url: str) -> None:
    database = Database(database_url)
    user: dict[str, Any] = {
        "username": "a",
        "email": "a@b.org",
        "password_hash": "-",
        "created_at": NOW,
        "updated_at": NOW,
    }
    async with database.transaction() as tx:
        await tx.add(User(**user, username_folded="a", email_folded="a@b.org"))
    with pytest.raises(Duplicate) as caught:
        async with database.transaction() as tx:
            await tx.add(User(**user, username_folded="a", email_folded="c@b.org"))
    assert caught.value.concerns("username_folded")
    assert not caught.value.concerns("email_folded")
    await database.close()


async def test_a_connection_that_the_server_has_closed_is_replaced(postgres_url: str) -> None:
    database = Database(postgres_url)
    async with database.reading() as rows:
        lost = await rows.scalar(select(func.pg_backend_pid()))
    async with asyncpg_connection(postgres_url) as other:
        await other.execute("SELECT pg_terminate_backend($1)", lost)
    await asyncio.sleep(0.5)  # until the driver has been told
    async with database.transaction() as tx:
        assert await tx.scalar(select(func.pg_backend_pid())) != lost
    await database.close()


async def test_fifty_writers_at_once_wait_for_each_other_and_all_succeed(database_url: str) -> None:
    database = Database(database_url)

    async def write(number: int) -> None:
        async with database.transaction() as tx:
            seen = await tx.scalar(select(func.count()).select_from(Workspace))
            await tx.add(workspace(f"{number:03} saw {seen}"))

    await asyncio.gather(*(write(number) for number in range(50)))
    assert len(await names(database)) == 50
    await database.close()


async def test_two_processes_writing_one_sqlite_file_wait_for_each_other(sqlite_url: str) -> None:
    databases = [Database(sqlite_url) for _ in range(4)]

    async def write(database: Database, number: int) -> None:
        async with database.transaction() as tx:
            await tx.add(workspace(str(number)))

    await asyncio.gather(*(write(databases[number % 4], number) for number in range(40)))
    assert len(await names(databases[0])) == 40
    for database in databases:
        await database.close()


async def test_readers_see_what_is_committed_while_somebody_writes(database_url: str) -> None:
    database = Database(database_url)
    async with database.transaction() as tx:
        await tx.add(workspace("first"))
        assert await asyncio.wait_for(names(database), 10) == []
    async with database.reading() as rows:
        statement = select(col(Workspace.name))
        assert await rows.scalar(statement) == "first"
        async with database.transaction() as tx:
            await tx.add(workspace("second"))
        assert len(await rows.all(statement)) == 2
    await database.close()


async def test_sqlite_is_durable_and_keeps_its_keys(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    async with database.transaction() as tx:
        assert await tx.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await tx.scalar(text("PRAGMA synchronous")) == 2
        assert await tx.scalar(text("PRAGMA foreign_keys")) == 1
    await database.close()


async def test_times_come_back_aware_and_sizes_beyond_32_bits(database_url: str) -> None:
    database = Database(database_url)
    async with database.transaction() as tx:
        await tx.add(Event(kind="x", size=2**62, data={"a": 1}, created_at=NOW))
    async with database.reading() as rows:
        row = await rows.first(select(col(Event.created_at), col(Event.size), col(Event.data)))
    assert row is not None
    assert tuple(row) == (NOW, 2**62, {"a": 1})
    await database.close()


async def add_all(tx: Transaction, given: Sequence[str]) -> list[str]:
    """Adds workspaces of these names, unless one is called `wrong`, a fault of its own, or `broken`, nobody's."""
    if "wrong" in given:
        raise Duplicate("wrong")
    if "broken" in given:
        raise ZeroDivisionError
    await tx.add(*map(workspace, given))
    together.append(list(given))
    return [name.upper() for name in given]


async def test_writes_that_wait_at_the_same_time_share_a_transaction(database_url: str) -> None:
    database = Database(database_url)
    together.clear()
    given = [f"w{number:02}" for number in range(20)]
    outcomes = await asyncio.gather(*(database.share(add_all, name) for name in given))
    assert outcomes == [name.upper() for name in given]
    assert await names(database) == given
    assert len(together) < len(given)
    await database.close()


async def test_a_duplicate_of_one_write_is_not_that_of_those_that_share_its_transaction(database_url: str) -> None:
    database = Database(database_url)
    together.clear()
    given = ["a", "b", "c", "wrong", "d"]
    outcomes = await asyncio.gather(*(database.share(add_all, name) for name in given), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [str, str, str, Duplicate, str]
    assert await names(database) == ["a", "b", "c", "d"]
    with pytest.raises(Duplicate):
        await database.share(add_all, "wrong")
    await database.close()


async def test_a_broken_database_is_asked_once_for_all_that_wait(database_url: str) -> None:
    database = Database(database_url)
    given = ["broken", *(f"w{number:02}" for number in range(20))]
    outcomes = await asyncio.gather(*(database.share(add_all, name) for name in given), return_exceptions=True)
    assert ZeroDivisionError in map(type, outcomes)
    assert len(await names(database)) == sum(isinstance(outcome, str) for outcome in outcomes)
    await database.close()


async def test_other_constraints_than_unique_ones_are_no_duplicates(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(IntegrityError):
        await add(database, Quota(owner_id=uuid7(), kind=QuotaKind.WORKSPACE, quota_limit=-1))
    await database.close()


async def test_a_row_that_points_at_nothing_is_refused_as_such(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(Missing):
        await add(database, Member(workspace_id=uuid7(), user_id=uuid7(), role=WorkspaceRole.OWNER, created_at=NOW))
    await database.close()


async def add_after_looking(tx: Transaction, given: Sequence[str]) -> list[str]:
    """Adds workspaces, as if the first look at each came too early to see that what they point at was removed."""
    outcomes = ["gone" if name in looked_for else "added" for name in given]
    gone = [name for name in given if name.startswith("gone") and name not in looked_for]
    looked_for.update(gone)
    owner = uuid7() if gone else None
    added = [name for name in given if not name.startswith("gone")]
    rows = [Workspace(name=name, personal_user_id=owner, created_at=NOW) for name in (*added, *gone[:1])]
    await tx.add(*rows)
    return outcomes


async def test_what_is_removed_while_it_is_written_to_is_found_to_be_gone_and_harms_no_other(database_url: str) -> None:
    database = Database(database_url)
    looked_for.clear()
    given = ["a", "gone", "b", "c"]
    outcomes = await asyncio.gather(*(database.share(add_after_looking, name) for name in given))
    assert outcomes == ["added", "gone", "added", "added"]
    assert await database.share(add_after_looking, "gone too") == "gone"
    assert await names(database) == ["a", "b", "c"]
    await database.close()


async def add_astray(tx: Transaction, given: Sequence[str]) -> list[str]:
    """Adds workspaces of users that never come to be."""
    await tx.add(*(Workspace(name=name, personal_user_id=uuid7(), created_at=NOW) for name in given))
    return list(given)


async def test_what_points_at_nothing_however_often_it_is_tried_is_a_fault(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(Missing):
        await database.share(add_astray, "a")
    await database.close()


async def add(database: Database, row: SQLModel) -> None:
    async with database.transaction() as tx:
        await tx.add(row)


async def test_who_listens_is_told_after_the_commit_and_only_then(database_url: str) -> None:
    database = Database(database_url)
    told: list[str] = []
    database.bus.listen("news", lambda _: told.append("first"))
    database.bus.listen("news", lambda _: told.append("second"))
    async with database.transaction() as tx:
        tx.tell("news")
        tx.tell("news")
        tx.tell("what nobody listens to")
        assert told == []
    assert told == ["first", "second"]
    with pytest.raises(ZeroDivisionError):
        await announce_and_fail(database)
    assert told == ["first", "second"]
    await database.close()


async def announce_and_fail(database: Database) -> None:
    async with database.transaction() as tx:
        tx.tell("news")
        raise ZeroDivisionError


async def test_a_row_is_added_unless_it_is_there(database_url: str) -> None:
    database = Database(database_url)
    own = workspace("one")
    async with database.transaction() as tx:
        assert await tx.add_unless_there(own)
        assert not await tx.add_unless_there(own)
        assert await tx.add_unless_there(workspace("two"))
    assert await names(database) == ["one", "two"]
    await database.close()


async def test_what_is_to_be_done_afterwards_is_done_once_it_is_committed_and_only_then(database_url: str) -> None:
    database, done = Database(database_url), []
    async with database.transaction() as tx:
        tx.afterwards(lambda: done.append("kept"))
        assert done == []
    with suppress(ZeroDivisionError):
        async with database.transaction() as tx:
            tx.afterwards(lambda: done.append("lost"))
            raise ZeroDivisionError
    assert done == ["kept"]
    await database.close()
