"""Frequent selects find on each database what the select itself finds, and know one text for lists of any length."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, delete, select, text
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database
from db.frequent import FrequentSelect
from db.models import Blob, Workspace

NOW = datetime.now(UTC)
BLOBS = FrequentSelect(
    select(col(Blob.key), col(Blob.size), col(Blob.created_at)).where(
        col(Blob.digest).in_(bindparam("digests", expanding=True)),
        col(Blob.store) == "disk",
        col(Blob.key).in_(bindparam("keys", expanding=True)),
        col(Blob.size) >= bindparam("least"),
    )
)
WORKSPACES = FrequentSelect(
    select(col(Workspace.id), col(Workspace.name)).where(col(Workspace.id).in_(bindparam("ids", expanding=True)))
)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


async def test_lists_and_single_values_find_their_places(db: Database) -> None:
    async with db.transaction() as tx:
        for key, store, size in (("a", "disk", 5), ("b", "disk", 1), ("c", "other", 5), ("d", "disk", 5)):
            await tx.add(Blob(key=key, store=store, size=size, digest=f"of {key}", crc32=0, created_at=NOW))
    wanted = {"digests": ["of a", "of b", "of c"], "keys": ["a", "b", "c", "d"], "least": 2}
    async with db.reading() as rows:
        [(key, size, created_at)] = await rows.frequent(BLOBS, wanted)
        assert (key, size, created_at) == ("a", 5, NOW)
        assert list(await rows.frequent(BLOBS, wanted | {"least": 9})) == []


async def test_a_list_may_have_any_length(db: Database) -> None:
    made = [Workspace(name=f"number {number}", created_at=NOW) for number in range(200)]
    ids = [workspace.id for workspace in made]
    async with db.transaction() as tx:
        await tx.add(*made)
    async with db.reading() as rows:
        for length in (0, 1, 7, 200):
            found = await rows.frequent(WORKSPACES, {"ids": [*ids[:length], uuid7()]})
            assert {(row[0], row[1]) for row in found} == {(each.id, each.name) for each in made[:length]}
        assert list(await rows.frequent(WORKSPACES, {"ids": []})) == []


async def test_a_transaction_sees_what_it_has_written(db: Database) -> None:
    made = Workspace(name="mine", created_at=NOW)
    async with db.transaction() as tx:
        await tx.add(made)
        assert [tuple(row) for row in await tx.frequent(WORKSPACES, {"ids": [made.id]})] == [(made.id, "mine")]
        async with db.reading() as rows:
            assert list(await rows.frequent(WORKSPACES, {"ids": [made.id]})) == []


async def test_a_stream_has_what_was_there_when_it_began(db: Database) -> None:
    made = [Workspace(name=f"number {number}", created_at=NOW) for number in range(5)]
    async with db.transaction() as tx:
        await tx.add(*made)
    found = []
    async with db.reading() as rows:
        async with rows.stream(WORKSPACES, {"ids": [each.id for each in made]}, 2) as batches:
            async for some in batches:
                found.append([(row[0], row[1]) for row in some])
                async with db.transaction() as tx:
                    await tx.execute(delete(Workspace))
        assert [len(some) for some in found] == [2, 2, 1]
        assert {row for some in found for row in some} == {(each.id, each.name) for each in made}
        assert list(await rows.frequent(WORKSPACES, {"ids": [each.id for each in made]})) == []


async def test_who_leaves_a_stream_leaves_nothing_behind(db: Database) -> None:
    made = [Workspace(name=f"number {number}", created_at=NOW) for number in range(5)]
    async with db.transaction() as tx:
        await tx.add(*made)
    for _ in range(20):  # more than there are connections
        with suppress(ZeroDivisionError):
            async with db.reading() as rows, rows.stream(WORKSPACES, {"ids": [made[0].id, made[1].id]}, 1) as batches:
                async for _some in batches:
                    raise ZeroDivisionError
    assert {pool.in_use for pool in db.pools().values()} == {0}
    async with db.reading() as rows:
        await rows.frequent(WORKSPACES, {"ids": []})
        async with db.transaction() as tx:
            await tx.execute(delete(Workspace))
        assert list(await rows.frequent(WORKSPACES, {"ids": [made[0].id]})) == []


async def test_a_list_of_one_finds_that_one(db: Database) -> None:
    made = [Workspace(name=f"number {number}", created_at=NOW) for number in range(2)]
    async with db.transaction() as tx:
        await tx.add(*made)
    async with db.reading() as rows:
        for each in made:
            [found] = await rows.frequent(WORKSPACES, {"ids": [each.id]})
            assert tuple(found) == (each.id, each.name)
        assert list(await rows.frequent(WORKSPACES, {"ids": [uuid7()]})) == []


async def test_for_a_list_of_one_postgres_keeps_its_plan(postgres_url: str) -> None:
    db = Database(postgres_url)
    planned = text("SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%workspaces%'")
    async with db.reading() as rows:
        for _ in range(20):
            await rows.frequent(WORKSPACES, {"ids": [uuid7()]})
        plans = await rows.first(planned)
    await db.close()
    assert plans is not None
    assert plans.generic_plans > plans.custom_plans


def test_there_is_one_text_in_which_lists_are_arrays() -> None:
    assert "= ANY ($3::VARCHAR[])" in BLOBS.text
    assert "= ANY ($4::VARCHAR[])" in BLOBS.text
    assert "= ANY ($1::UUID[])" in WORKSPACES.text
