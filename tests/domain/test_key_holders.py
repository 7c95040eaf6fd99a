"""Who asks by an API key, and when nobody does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import col

from api.ports import SystemRandomness
from db.engine import Database
from db.models import ApiKey, ApiKeySecret, User, UserRole
from domain.errors import BadCredential, ExpiredCredential
from domain.key_holders import KeyHolder, holder_of
from domain.key_secrets import KeySecret, draw_prefix, draw_secret
from domain.scopes import Scope
from tests.records import NOW, MovableClock, Person, add_person


@dataclass(frozen=True, slots=True)
class World:
    """A person with a key for files, which is good for a day from one network."""

    db: Database
    clock: MovableClock
    ada: Person
    key: ApiKey
    secret: KeySecret

    async def holder(self, secret: str | None = None, address: str | None = "192.0.2.7") -> KeyHolder:
        return await holder_of(self.db, self.clock, self.secret.text if secret is None else secret, address)

    async def refusal(self, secret: str | None = None, address: str | None = "192.0.2.7") -> str:
        with pytest.raises(BadCredential) as refused:
            await self.holder(secret, address)
        # Who has an expired access token may sign in all the same; who shows a key has to show a good one.
        assert not isinstance(refused.value, ExpiredCredential)
        return refused.value.message

    async def change(self, table: type[ApiKey | ApiKeySecret | User], **values: Any) -> None:
        async with self.db.transaction() as tx:
            await tx.execute(update(table).values(**values))


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db = Database(database_url)
    ada = await add_person(db, "ada")
    prefix = draw_prefix(SystemRandomness())
    secret = draw_secret(SystemRandomness(), prefix)
    key = ApiKey(
        user_id=ada.id,
        name="backup",
        token_prefix=prefix,
        scopes=["files:read", "files:write", "a scope of the next version"],
        addresses=["192.0.2.0/24", "2001:db8::/32"],
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )
    async with db.transaction() as tx:
        await tx.add(key, ApiKeySecret(secret_hash=secret.hash, api_key_id=key.id, created_at=NOW))
    yield World(db, MovableClock(), ada, key, secret)
    await db.close()


async def test_a_key_makes_a_viewer_of_its_owner_within_its_scopes(world: World) -> None:
    await world.change(ApiKey, last_used_at=NOW)
    await world.change(User, role="ADMIN")
    holder = await world.holder()

    assert (holder.api_key_id, holder.last_used_at) == (world.key.id, NOW)
    viewer = holder.viewer
    assert (viewer.user_id, viewer.api_key_id, viewer.session_id) == (world.ada.id, world.key.id, None)
    assert viewer.scopes == frozenset({Scope.FILES_READ, Scope.FILES_WRITE})
    assert viewer.role is UserRole.ADMIN
    assert not viewer.is_admin


@pytest.mark.parametrize("address", ["192.0.2.255", "::ffff:192.0.2.7", "2001:db8::1"])
async def test_a_key_is_good_from_its_addresses(world: World, address: str) -> None:
    assert (await world.holder(address=address)).api_key_id == world.key.id


async def test_whatever_is_wrong_with_a_key_is_answered_alike(world: World) -> None:
    await world.holder()
    told = {await world.refusal(secret) for secret in ("", "cairn_", "cairn_\0", world.secret.text + "A", "\ud800")}
    told.add(await world.refusal(draw_secret(SystemRandomness(), world.key.token_prefix).text))
    told |= {await world.refusal(address=address) for address in ("198.51.100.1", "::ffff:198.51.100.1", "::1", None)}
    end = world.key.expires_at
    for table, over, back in (
        (ApiKey, {"expires_at": NOW}, {"expires_at": end}),
        (ApiKeySecret, {"expires_at": NOW}, {"expires_at": None}),
        (ApiKey, {"revoked_at": NOW}, {"revoked_at": None}),
    ):
        await world.change(table, **over)
        told.add(await world.refusal())
        await world.change(table, **back)
    await world.holder()
    await world.change(User, disabled_at=NOW)
    told.add(await world.refusal())
    async with world.db.transaction() as tx:
        await tx.execute(delete(User).where(col(User.id) == world.ada.id))
    told.add(await world.refusal())
    assert told == {"The API key is not valid, no longer valid, or not valid from this address."}


async def test_a_key_without_an_end_and_addresses_is_good_always_and_anywhere(world: World) -> None:
    await world.change(ApiKey, expires_at=None, addresses=[])
    world.clock.forward(days=10_000)
    assert (await world.holder(address=None)).api_key_id == world.key.id


async def test_a_key_ends_at_its_end(world: World) -> None:
    world.clock.forward(hours=23, minutes=59, seconds=59)
    await world.holder()
    world.clock.forward(seconds=1)
    await world.refusal()
