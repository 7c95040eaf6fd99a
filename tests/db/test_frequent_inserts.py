"""Rows of several tables come into the database together or not at all, whichever way the database takes them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database, Rows, Transaction
from db.frequent_inserts import FrequentInsert, Values
from db.models import Blob, Delta, Event, File, Version, Workspace
from db.violations import Duplicate, Missing

NOW = datetime.now(UTC)
INSERT = FrequentInsert(Blob, Event, Delta)
CONTENTS = FrequentInsert(Blob, Version)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


def blob(key: str) -> dict[str, Any]:
    return {"key": key, "store": "disk", "size": 2**40, "digest": "0" * 64, "crc32": 2**32 - 1, "created_at": NOW}


def event(kind: str, data: dict[str, str] | None) -> dict[str, Any]:
    return {"id": uuid7(), "kind": kind, "actor_id": uuid7(), "data": data, "created_at": NOW}


async def add(db: Database, insert: FrequentInsert, values: list[Values], *, is_begun: bool) -> None:
    async with db.transaction() as tx:
        if is_begun:
            await keys(tx)
        await tx.insert_all(insert, values)


async def keys(rows: Rows | Transaction) -> list[str]:
    return [row.key for row in await rows.all(select(col(Blob.key)).order_by(col(Blob.key)))]


@pytest.mark.parametrize("is_begun", [False, True])
async def test_rows_of_all_tables_are_there_afterwards(db: Database, *, is_begun: bool) -> None:
    told = event("one", {"mediaType": 'text/\N{GREEK SMALL LETTER PI} "quoted"'})
    delta = {"day": NOW.date(), "workspace_id": uuid7(), "media_type": "text/plain"}
    numbers = dict.fromkeys(("files", "bytes", "uploads", "uploaded", "downloads", "downloaded", "logins", "users"), 0)
    await add(db, INSERT, [[blob("a"), blob("b")], [told], [delta | numbers | {"bytes": 2**40}]], is_begun=is_begun)
    async with db.reading() as rows:
        assert await keys(rows) == ["a", "b"]
        found = await rows.first(select(col(Blob.size), col(Blob.crc32), col(Blob.created_at), col(Blob.damage)))
        assert found is not None
        assert tuple(found) == (2**40, 2**32 - 1, NOW, None)
        kept = await rows.first(select(col(Event.id), col(Event.actor_id), col(Event.data), col(Event.size)))
        assert kept is not None
        assert tuple(kept) == (told["id"], told["actor_id"], told["data"], None)
        counted = await rows.first(select(col(Delta.day), col(Delta.bytes), col(Delta.user_id)))
        assert counted is not None
        assert tuple(counted) == (NOW.date(), 2**40, None)


@pytest.mark.parametrize("is_begun", [False, True])
async def test_of_some_tables_there_may_be_no_rows(db: Database, *, is_begun: bool) -> None:
    await add(db, INSERT, [[blob("a")], [], []], is_begun=is_begun)
    async with db.reading() as rows:
        assert await keys(rows) == ["a"]
        assert await rows.scalar(select(col(Event.id))) is None


@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_row_that_is_there_already_keeps_all_of_them_away(db: Database, *, is_begun: bool) -> None:
    await add(db, INSERT, [[blob("a")], [], []], is_begun=is_begun)
    with pytest.raises(Duplicate) as refused:
        await add(db, INSERT, [[blob("b"), blob("a")], [event("two", {})], []], is_begun=is_begun)
    assert refused.value.concerns("key") or refused.value.concerns("blobs")
    async with db.reading() as rows:
        assert await keys(rows) == ["a"]
        assert await rows.scalar(select(col(Event.id))) is None


@pytest.mark.parametrize("is_begun", [False, True])
async def test_rows_may_point_at_those_that_are_written_with_them_and_at_nothing_else(
    db: Database, *, is_begun: bool
) -> None:
    workspace = Workspace(name="mine", created_at=NOW)
    content: dict[str, Any] = {"size": 1, "media_type": "text/plain", "digest": "0" * 64, "created_at": NOW}
    file = File(workspace_id=workspace.id, name="a", name_folded="a", version_id=uuid7(), updated_at=NOW, **content)
    async with db.transaction() as tx:
        await tx.add(workspace, file)
    version = content | {"id": file.version_id, "file_id": file.id, "number": 1}
    with pytest.raises(Missing):
        await add(db, CONTENTS, [[blob("a")], [version | {"blob_key": "b"}]], is_begun=is_begun)
    await add(db, CONTENTS, [[blob("a")], [version | {"blob_key": "a"}]], is_begun=is_begun)
    async with db.reading() as rows:
        assert await rows.scalar(select(col(Version.blob_key))) == "a"
