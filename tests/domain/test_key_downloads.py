"""Which bytes a program may have, by a key of somebody who may have them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest
from sqlalchemy import delete, event, update
from sqlalchemy.engine import Engine
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database
from db.models import ApiKey, File, FileStatus, Member, User
from domain.api_keys import create_api_key
from domain.downloads import Download
from domain.errors import BadCredential, ScopeMissing
from domain.events import RequestFacts
from domain.key_downloads import KeyRequest, open_by_key
from domain.key_terms import KeyTerms
from domain.viewer import Viewer
from tests.records import NOW, Bytes, MovableClock, Person, add_file, add_person, add_version, make_ports


@dataclass(frozen=True, slots=True)
class World:
    """An owner with a file of two versions, a stranger, and keys of theirs by what they are for."""

    db: Database
    clock: MovableClock
    owner: Person
    file_id: UUID
    old_id: UUID
    current_id: UUID
    keys: dict[str, str]

    async def open(
        self, key: str = "reader", file_id: UUID | None = None, version_id: UUID | None = None
    ) -> Download | None:
        secret = self.keys.get(key, key)
        request = KeyRequest(secret, "192.0.2.1", file_id or self.file_id, version_id)
        return (await open_by_key(self.db, self.clock, request)).download


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db, clock = Database(database_url), MovableClock()
    owner, stranger = await add_person(db, "owner"), await add_person(db, "stranger")
    file_id, current_id = await add_file(db, owner, Bytes(b"hello", "k1"))
    old_id = await add_version(db, file_id, 2, Bytes(b"older", "k2"))
    ports, keys = make_ports(clock), {}
    for name, person, terms in (
        ("reader", owner, KeyTerms("reader", ["files:read"])),
        ("writer", owner, KeyTerms("writer", ["files:write", "account:read"])),
        ("elsewhere", owner, KeyTerms("elsewhere", ["files:read"], addresses=["198.51.100.0/24"])),
        ("stranger", stranger, KeyTerms("stranger", ["files:read"])),
    ):
        async with db.transaction() as tx:
            issued = await create_api_key(tx, ports, Viewer(person.id), terms, RequestFacts())
        keys[name] = issued.secret
    yield World(db, clock, owner, file_id, old_id, current_id, keys)
    await db.close()


async def test_a_key_opens_what_its_owner_may_read(world: World) -> None:
    current = await world.open()
    assert current is not None
    assert (current.user_id, current.version_id, current.name) == (world.owner.id, world.current_id, "notes.txt")
    assert not current.is_pinned
    named = await world.open(version_id=world.old_id)
    assert named is not None
    assert (named.version_id, named.blob_key, named.is_pinned) == (world.old_id, "k2", True)


async def test_what_a_key_opens_costs_one_statement(world: World) -> None:
    statements: list[str] = []

    def heard(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        assert await world.open() is not None
    finally:
        event.remove(Engine, "before_cursor_execute", heard)
    assert len([statement for statement in statements if "api_key_secrets" in statement]) == 1


async def test_many_keys_and_contents_at_once_are_not_mixed_up(world: World) -> None:
    tries = [
        world.open("reader"),
        world.open("stranger"),
        world.open("reader", version_id=world.old_id),
        world.open("stranger", version_id=world.old_id),
        world.open("reader", uuid7()),
        world.open("reader", uuid7(), world.old_id),
    ]
    opened = await asyncio.gather(*tries, *[world.open("reader") for _ in range(50)])
    assert [download and download.version_id for download in opened] == [
        world.current_id,
        None,
        world.old_id,
        None,
        None,
        None,
        *[world.current_id] * 50,
    ]


async def test_a_key_of_lesser_scope_learns_nothing_of_any_file(world: World) -> None:
    told = set()
    for file_id in (world.file_id, uuid7()):
        with pytest.raises(ScopeMissing) as refused:
            await world.open("writer", file_id)
        told.add(str(refused.value))
    assert told == {"The API key lacks the scope `files:read`."}


async def test_a_bad_key_learns_nothing_of_any_file(world: World) -> None:
    told = set()
    for key in ("elsewhere", "", "nonsense", "cairn_" + "a" * 5000, world.keys["reader"] + "\0"):
        for file_id in (world.file_id, uuid7()):
            with pytest.raises(BadCredential) as refused:
                await world.open(key, file_id)
            told.add(str(refused.value))
    assert len(told) == 1


async def test_a_key_ends_when_it_is_over_revoked_or_its_owner_disabled(world: World) -> None:
    for table, values, back in (
        (ApiKey, {"expires_at": NOW}, {"expires_at": None}),
        (ApiKey, {"revoked_at": NOW}, {"revoked_at": None}),
        (User, {"disabled_at": NOW}, {"disabled_at": None}),
    ):
        async with world.db.transaction() as tx:
            await tx.execute(update(table).values(**values))
        with pytest.raises(BadCredential):
            await world.open()
        async with world.db.transaction() as tx:
            await tx.execute(update(table).values(**back))
    assert await world.open() is not None


async def test_a_key_never_exceeds_its_owner(world: World) -> None:
    async with world.db.transaction() as tx:
        await tx.execute(update(File).values(status=FileStatus.QUARANTINED))
    assert await world.open() is None
    async with world.db.transaction() as tx:
        await tx.execute(update(File).values(status=FileStatus.READY))
        await tx.execute(delete(Member).where(col(Member.user_id) == world.owner.id))
    assert await world.open() is None
    assert await world.open(version_id=world.old_id) is None
