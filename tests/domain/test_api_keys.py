"""Who makes, changes, rotates and revokes which API keys, and what history keeps of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database
from db.models import ApiKey, ApiKeySecret, Event, User, UserRole
from db.questions import Position, Window
from db.rows import ApiKeyRow
from domain.api_keys import (
    MAXIMUM_GRACE_SECONDS,
    Ending,
    Issued,
    KeyChange,
    Rotation,
    counts,
    create_api_key,
    note_uses,
    pages,
    revoke_api_key,
    rotate_api_key,
    sweep,
    update_api_key,
)
from domain.errors import (
    BadCredential,
    Forbidden,
    InvalidInput,
    NotForKeys,
    NotFound,
    NotSignedIn,
    RotationUnderWay,
    TooManyKeys,
)
from domain.events import RequestFacts
from domain.key_holders import holder_of
from domain.key_terms import KeyTerms
from domain.ports import Ports
from domain.scopes import Scope
from domain.viewer import NOBODY, Viewer
from tests.records import NOW, MovableClock, Person, add_person, make_ports

FACTS = RequestFacts("req-1", "192.0.2.1", "curl/8")
TERMS = KeyTerms("backup", ["files:read", "files:write"])
TEN = Window(10)
DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class World:
    """Two people, of whom one may have up to three keys."""

    db: Database
    clock: MovableClock
    ports: Ports
    ada: Person
    eve: Person

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.ada.id, session_id=self.ada.session_id)

    @property
    def stranger(self) -> Viewer:
        return Viewer(self.eve.id, session_id=self.eve.session_id)

    async def create(self, terms: KeyTerms = TERMS, viewer: Viewer | None = None) -> Issued:
        async with self.db.transaction() as tx:
            return await create_api_key(tx, self.ports, viewer or self.viewer, terms, FACTS)

    async def update(self, change: KeyChange, viewer: Viewer | None = None) -> ApiKeyRow:
        async with self.db.transaction() as tx:
            return await update_api_key(tx, self.ports, viewer or self.viewer, change, FACTS)

    async def rotate(self, api_key_id: UUID, grace: int = DAY_SECONDS, viewer: Viewer | None = None) -> Issued:
        async with self.db.transaction() as tx:
            return await rotate_api_key(tx, self.ports, viewer or self.viewer, Rotation(api_key_id, grace), FACTS)

    async def revoke(self, api_key_id: UUID, viewer: Viewer | None = None) -> ApiKeyRow:
        async with self.db.transaction() as tx:
            return await revoke_api_key(tx, self.ports, viewer or self.viewer, api_key_id, FACTS)

    async def is_good(self, secret: str) -> bool:
        try:
            await holder_of(self.db, self.clock, secret, None)
        except BadCredential:
            return False
        return True

    async def seen(self, viewer: Viewer, person: Person, window: Window = TEN) -> list[ApiKeyRow]:
        async with self.db.reading() as rows:
            page = (await pages(rows, viewer, [(person.id, window)]))[person.id, window]
            if window == TEN:
                assert (await counts(rows, viewer, [person.id])).get(person.id, 0) == len(page.items)
        return list(page.items)

    async def events(self) -> list[Any]:
        async with self.db.reading() as rows:
            return list(await rows.all(select(*Event.__table__.columns).order_by(col(Event.id))))  # type: ignore[attr-defined]

    async def number(self, table: type[ApiKey | ApiKeySecret]) -> int:
        async with self.db.reading() as rows:
            found: int = await rows.scalar(select(func.count()).select_from(table))
        return found


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db, clock = Database(database_url), MovableClock()
    yield World(db, clock, make_ports(clock), await add_person(db, "ada"), await add_person(db, "eve"))
    await db.close()


def by_key(person: Person) -> Viewer:
    return Viewer(person.id, api_key_id=uuid7(), scopes=frozenset(Scope))


async def test_a_key_is_made_with_a_secret_that_is_kept_nowhere(world: World) -> None:
    end = NOW + timedelta(days=90)
    terms = KeyTerms(" backup ", ["files:write", "files:read"], end, ["::ffff:192.0.2.0/120"])
    issued = await world.create(terms)

    row = issued.row
    assert await world.seen(world.viewer, world.ada) == [row]
    assert (row.name, row.scopes, row.addresses) == ("backup", ["files:read", "files:write"], ["192.0.2.0/24"])
    assert (row.user_id, row.created_at, row.expires_at, row.last_used_at) == (world.ada.id, NOW, end, None)
    assert issued.secret.startswith(f"{row.token_prefix}_")
    [event] = await world.events()
    assert (event.kind, event.actor_id, event.target_id) == ("api_key.created", world.ada.id, row.id)
    assert event.data == {
        "name": "backup",
        "prefix": row.token_prefix,
        "scopes": ["files:read", "files:write"],
        "addresses": ["192.0.2.0/24"],
        "expiresAt": end.isoformat(),
    }


async def test_a_user_has_so_many_keys_and_no_more_also_when_many_are_made_at_once(world: World) -> None:
    await world.create(viewer=world.stranger)
    outcomes = await asyncio.gather(*(world.create() for _ in range(20)), return_exceptions=True)

    refusals = [outcome for outcome in outcomes if isinstance(outcome, TooManyKeys)]
    assert len(refusals) == 17
    assert {refusal.maximum for refusal in refusals} == {3}
    [first, *_] = await world.seen(world.viewer, world.ada)
    await world.revoke(first.id)
    await world.create()


async def test_a_user_who_is_disabled_or_gone_meanwhile_gets_no_key(world: World) -> None:
    async with world.db.transaction() as tx:
        await tx.execute(update(User).where(col(User.id) == world.ada.id).values(disabled_at=NOW))
    for viewer in (world.viewer, Viewer(uuid7())):
        with pytest.raises(BadCredential):
            await world.create(viewer=viewer)
    assert await world.number(ApiKey) == 0


async def test_a_key_is_changed_in_what_is_named_and_in_nothing_else(world: World) -> None:
    end = NOW + timedelta(days=1)
    row = (await world.create(KeyTerms("one", ["files:read"], end, ["::1"]))).row
    changes = [
        (KeyChange(row.id), {}),
        (KeyChange(row.id, name="two"), {"name": "two"}),
        (KeyChange(row.id, scopes=["account:read"]), {"scopes": ["account:read"]}),
        (KeyChange(row.id, addresses=[]), {"addresses": []}),
        (KeyChange(row.id, ending=Ending(None)), {"expires_at": None}),
        (KeyChange(row.id, ending=Ending(end)), {"expires_at": end}),
    ]
    for change, values in changes:
        row = row._replace(**values)  # type: ignore[arg-type]
        assert await world.update(change) == row
        assert await world.seen(world.viewer, world.ada) == [row]

    events = await world.events()
    assert [event.kind for event in events] == ["api_key.created", *["api_key.updated"] * len(changes)]
    assert events[2].data["name"] == "two"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"name": ""}, InvalidInput),
        ({"scopes": []}, InvalidInput),
        ({"scopes": ["admin"]}, Forbidden),
        ({"addresses": ["x"]}, InvalidInput),
        ({"ending": Ending(NOW)}, InvalidInput),
    ],
)
async def test_a_change_is_judged_as_a_new_key_is(
    world: World, change: dict[str, Any], refusal: type[Exception]
) -> None:
    row = (await world.create()).row
    with pytest.raises(refusal):
        await world.update(KeyChange(row.id, **change))
    assert await world.seen(world.viewer, world.ada) == [row]


async def test_an_administrator_makes_keys_that_administer(world: World) -> None:
    admin = replace(world.viewer, role=UserRole.ADMIN)
    assert (await world.create(KeyTerms("ops", ["admin"]), admin)).row.scopes == ["admin"]


async def test_a_rotated_key_has_two_secrets_until_the_grace_is_over(world: World) -> None:
    first = await world.create()
    second = await world.rotate(first.row.id, 3600)

    assert second.row == first.row
    assert second.former_ends_at == NOW + timedelta(hours=1)
    assert second.secret.startswith(f"{first.row.token_prefix}_")
    assert [await world.is_good(each.secret) for each in (first, second)] == [True, True]
    world.clock.forward(seconds=3600)
    assert [await world.is_good(each.secret) for each in (first, second)] == [False, True]
    third = await world.rotate(first.row.id)
    assert [await world.is_good(each.secret) for each in (first, second, third)] == [False, True, True]
    event = (await world.events())[1]
    assert (event.kind, event.target_id) == ("api_key.rotated", first.row.id)
    assert event.data["formerSecretExpiresAt"] == (NOW + timedelta(hours=1)).isoformat()


async def test_a_grace_that_was_promised_is_kept_unless_all_former_secrets_are_ended(world: World) -> None:
    first = await world.create()
    second = await world.rotate(first.row.id, 3600)
    world.clock.forward(seconds=600)
    with pytest.raises(RotationUnderWay) as refused:
        await world.rotate(first.row.id, 3600)
    assert refused.value.retry_after_seconds == 3001
    assert [await world.is_good(each.secret) for each in (first, second)] == [True, True]

    third = await world.rotate(first.row.id, 0)
    assert [await world.is_good(each.secret) for each in (first, second, third)] == [False, False, True]
    fourth = await world.rotate(first.row.id, 3600)
    assert [await world.is_good(each.secret) for each in (third, fourth)] == [True, True]


async def test_of_fifty_rotations_at_once_one_wins_and_no_good_secret_is_lost(world: World) -> None:
    first = await world.create()
    outcomes = await asyncio.gather(*(world.rotate(first.row.id) for _ in range(50)), return_exceptions=True)

    [second] = [outcome for outcome in outcomes if isinstance(outcome, Issued)]
    assert len([outcome for outcome in outcomes if isinstance(outcome, RotationUnderWay)]) == 49
    assert [await world.is_good(each.secret) for each in (first, second)] == [True, True]
    assert await world.number(ApiKeySecret) == 2
    assert len(await world.events()) == 2


async def test_of_fifty_rotations_without_grace_the_last_is_good(world: World) -> None:
    first = await world.create()
    issued = await asyncio.gather(*(world.rotate(first.row.id, 0) for _ in range(50)))

    assert [await world.is_good(each.secret) for each in issued].count(True) == 1
    assert not await world.is_good(first.secret)


@pytest.mark.parametrize("grace", [-1, MAXIMUM_GRACE_SECONDS + 1, -(2**31), 2**31 - 1])
async def test_a_grace_has_its_bounds(world: World, grace: int) -> None:
    first = await world.create()
    with pytest.raises(InvalidInput) as refused:
        await world.rotate(first.row.id, grace)
    assert refused.value.path == ("graceSeconds",)
    await world.rotate(first.row.id, MAXIMUM_GRACE_SECONDS)


async def test_a_revoked_key_is_over_with_all_its_secrets(world: World) -> None:
    first = await world.create()
    second = await world.rotate(first.row.id)
    assert await world.revoke(first.row.id) == first.row

    assert [await world.is_good(each.secret) for each in (first, second)] == [False, False]
    assert await world.seen(world.viewer, world.ada) == []
    event = (await world.events())[-1]
    assert (event.kind, event.actor_id, event.target_id) == ("api_key.revoked", world.ada.id, first.row.id)


async def test_a_key_is_its_owners_alone_and_absent_for_everybody_else(world: World) -> None:
    theirs, ended = (await world.create(viewer=world.stranger)).row.id, (await world.create()).row.id
    await world.revoke(ended)
    before = len(await world.events())
    refusals = set()
    for viewer in (world.viewer, replace(world.viewer, role=UserRole.ADMIN)):
        for api_key_id in (theirs, ended, uuid7(), UUID(int=0)):
            for attempt in (
                world.update(KeyChange(api_key_id, name="mine"), viewer),
                world.rotate(api_key_id, viewer=viewer),
                world.revoke(api_key_id, viewer),
            ):
                with pytest.raises(NotFound) as refused:
                    await attempt
                refusals.add((refused.value.message, refused.value.path))
    assert len(refusals) == 1
    assert len(await world.events()) == before


async def test_neither_nobody_nor_a_key_has_to_do_with_keys(world: World) -> None:
    row = (await world.create()).row
    for viewer, refusal in ((NOBODY, NotSignedIn), (by_key(world.ada), NotForKeys)):
        for attempt in (
            world.create(viewer=viewer),
            world.update(KeyChange(row.id, name="mine"), viewer),
            world.rotate(row.id, viewer=viewer),
            world.revoke(row.id, viewer),
        ):
            with pytest.raises(refusal):
                await attempt
    assert await world.seen(world.viewer, world.ada) == [row]


async def test_the_owner_and_administrators_see_keys_and_nobody_else(world: World) -> None:
    row = (await world.create()).row
    assert await world.seen(Viewer(world.eve.id, UserRole.ADMIN), world.ada) == [row]
    assert await world.seen(by_key(world.ada), world.ada) == [row]
    blind = Viewer(world.ada.id, api_key_id=uuid7(), scopes=frozenset(Scope) - {Scope.ACCOUNT_READ})
    for viewer in (world.stranger, NOBODY, by_key(world.eve), blind):
        assert await world.seen(viewer, world.ada) == []


async def test_keys_come_newest_first_in_pages(world: World) -> None:
    made: list[ApiKeyRow] = []
    for _ in range(3):
        made.insert(0, (await world.create()).row)
        world.clock.forward(hours=1)
    after = Position(made[1].created_at, made[1].id)
    assert await world.seen(world.viewer, world.ada) == made
    assert await world.seen(world.viewer, world.ada, Window(2)) == made[:2]
    assert await world.seen(world.viewer, world.ada, Window(2, after=after)) == made[2:]
    assert await world.seen(world.viewer, world.ada, Window(1, is_backward=True)) == made[2:]


async def test_the_last_use_is_noted_once_a_minute(world: World) -> None:
    one, two = [(await world.create()).row.id for _ in range(2)]

    async def noted(at: datetime, *ids: UUID) -> set[datetime | None]:
        async with world.db.transaction() as tx:
            await note_uses(tx, ids, at)
        return {row.last_used_at for row in await world.seen(world.viewer, world.ada)}

    assert await noted(NOW, one) == {NOW, None}
    assert await noted(NOW + timedelta(seconds=59), one, two, uuid7()) == {NOW, NOW + timedelta(seconds=59)}
    assert await noted(NOW + timedelta(seconds=60), one, two) == {
        NOW + timedelta(seconds=60),
        NOW + timedelta(seconds=59),
    }
    assert await noted(NOW + timedelta(hours=1)) == {NOW + timedelta(seconds=60), NOW + timedelta(seconds=59)}


async def test_keys_and_secrets_are_removed_a_day_after_they_ended(world: World) -> None:
    kept, gone = await world.create(), await world.create()
    await world.rotate(kept.row.id, 0)
    await world.revoke(gone.row.id)
    await world.create(KeyTerms("over", ["files:read"], NOW + timedelta(hours=1)))

    world.clock.forward(days=1)
    await sweep(world.db, world.clock.now())
    assert (await world.number(ApiKey), await world.number(ApiKeySecret)) == (3, 4)
    world.clock.forward(seconds=1)
    await sweep(world.db, world.clock.now())
    assert (await world.number(ApiKey), await world.number(ApiKeySecret)) == (2, 2)
