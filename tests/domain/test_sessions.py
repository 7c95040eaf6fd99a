"""Whose sessions are seen and ended by whom."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database
from db.models import Event, RefreshToken, Session, User, UserRole
from db.questions import Position, Window
from db.rows import CredentialsRow
from domain.errors import NotFound, NotSignedIn, WrongPassword
from domain.events import RequestFacts
from domain.passwords import Verification
from domain.ports import Ports
from domain.refresh_tokens import SignedIn
from domain.sessions import (
    Attempt,
    Challenged,
    counts,
    log_out,
    login,
    pages,
    revoke_other_sessions,
    revoke_session,
    sweep,
    viewer_of_token,
)
from domain.tokens import Holder
from domain.viewer import NOBODY, Viewer
from tests.records import NOW, MovableClock, Person, a_session, add_person, make_ports

FACTS = RequestFacts("req-1", "192.0.2.1", "curl/8")
TEN = Window(10)


@dataclass(frozen=True, slots=True)
class World:
    """Two people with a session each."""

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

    async def add_session(self, person: Person, created_at: datetime = NOW) -> UUID:
        session = a_session(person.id, created_at)
        async with self.db.transaction() as tx:
            await tx.add(session)
        return session.id

    async def log_in(self) -> SignedIn | Challenged | WrongPassword:
        attempt = Attempt(CredentialsRow(self.ada.id, "-"), Verification(is_right=True))
        async with self.db.transaction() as tx:
            return await login(tx, self.ports, attempt, FACTS)

    async def log_out(self, viewer: Viewer, refresh_token: str | None = None) -> None:
        async with self.db.transaction() as tx:
            await log_out(tx, self.ports, viewer, refresh_token, FACTS)

    async def revoke(self, viewer: Viewer, session_id: UUID) -> UUID:
        async with self.db.transaction() as tx:
            return (await revoke_session(tx, self.ports, viewer, session_id, FACTS)).id

    async def revoke_others(self, viewer: Viewer) -> int:
        async with self.db.transaction() as tx:
            return await revoke_other_sessions(tx, self.ports, viewer, FACTS)

    async def seen(self, viewer: Viewer, person: Person, window: Window = TEN) -> list[UUID]:
        async with self.db.reading() as rows:
            page = (await pages(rows, viewer, [(person.id, window)], self.clock.now()))[person.id, window]
            if window == TEN:
                number = (await counts(rows, viewer, [person.id], self.clock.now())).get(person.id, 0)
                assert number == len(page.items)
        return [row.id for row in page.items]

    async def events(self) -> list[tuple[object, ...]]:
        statement = select(col(Event.kind), col(Event.actor_id), col(Event.target_id), col(Event.data))
        async with self.db.reading() as rows:
            return [tuple(row) for row in await rows.all(statement.order_by(col(Event.id)))]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db, clock = Database(database_url), MovableClock()
    yield World(db, clock, make_ports(clock), await add_person(db, "ada"), await add_person(db, "eve"))
    await db.close()


async def test_a_person_and_administrators_see_sessions_and_nobody_else(world: World) -> None:
    mine = [world.ada.session_id]
    assert await world.seen(world.viewer, world.ada) == mine
    assert await world.seen(Viewer(world.eve.id, UserRole.ADMIN), world.ada) == mine
    assert await world.seen(world.stranger, world.ada) == []
    assert await world.seen(NOBODY, world.ada) == []


async def test_sessions_come_newest_first_in_pages_and_those_that_ended_do_not(world: World) -> None:
    ids = [await world.add_session(world.ada, NOW + timedelta(hours=hour)) for hour in range(1, 5)]
    gone = await world.add_session(world.ada, NOW - timedelta(days=31))
    await world.revoke(world.viewer, ids.pop(2))

    newest_first = [*reversed(ids), world.ada.session_id]
    assert gone not in newest_first
    assert await world.seen(world.viewer, world.ada) == newest_first
    after = Position(NOW + timedelta(hours=2), ids[1])
    assert await world.seen(world.viewer, world.ada, Window(2)) == newest_first[:2]
    assert await world.seen(world.viewer, world.ada, Window(2, after=after)) == newest_first[2:]
    assert await world.seen(world.viewer, world.ada, Window(2, is_backward=True)) == newest_first[-2:]


async def test_many_users_and_windows_are_asked_together(world: World) -> None:
    older = await world.add_session(world.ada, NOW - timedelta(hours=1))
    admin, one = Viewer(world.eve.id, UserRole.ADMIN), Window(1)
    nobody = uuid7()
    wanted = [(world.ada.id, TEN), (world.eve.id, TEN), (world.ada.id, one), (nobody, one)]
    async with world.db.reading() as rows:
        found = await pages(rows, admin, wanted, NOW)

    told = {want: ([row.id for row in page.items], page.has_next, page.has_previous) for want, page in found.items()}
    assert told == {
        (world.ada.id, TEN): ([world.ada.session_id, older], False, False),
        (world.eve.id, TEN): ([world.eve.session_id], False, False),
        (world.ada.id, one): ([world.ada.session_id], True, False),
        (nobody, one): ([], False, False),
    }


async def test_a_login_opens_a_session_and_says_so(world: World) -> None:
    signed_in = await world.log_in()
    assert isinstance(signed_in, SignedIn)
    about = {"sessionId": str(signed_in.session_id)}
    assert await world.events() == [("login.succeeded", world.ada.id, world.ada.id, about)]
    assert signed_in.session_id in await world.seen(world.viewer, world.ada)


@pytest.mark.parametrize("change", ["disabled", "another password"])
async def test_a_login_fails_when_the_account_changed_while_the_password_was_compared(
    world: World, change: str
) -> None:
    async with world.db.transaction() as tx:
        values = {"disabled_at": NOW} if change == "disabled" else {"password_hash": "new"}
        await tx.execute(update(User).where(col(User.id) == world.ada.id).values(**values))

    assert isinstance(await world.log_in(), WrongPassword)
    assert await world.events() == [("login.failed", None, world.ada.id, None)]


async def test_logging_out_ends_the_own_session_and_no_other(world: World) -> None:
    other = await world.add_session(world.ada)
    await world.log_out(world.viewer)
    await world.log_out(world.viewer)

    assert await world.seen(world.viewer, world.ada) == [other]
    assert await world.seen(world.stranger, world.eve) == [world.eve.session_id]
    about = {"sessionId": str(world.ada.session_id)}
    assert await world.events() == [("session.ended", world.ada.id, world.ada.id, about)]


async def test_a_refresh_token_is_enough_to_log_out_used_or_not(world: World) -> None:
    signed_in = await world.log_in()
    assert isinstance(signed_in, SignedIn)
    async with world.db.transaction() as tx:
        await tx.execute(update(RefreshToken).values(used_at=NOW))
    for _ in range(2):
        await world.log_out(NOBODY, signed_in.refresh_token)
    await world.log_out(NOBODY, "\0" * 50)
    await world.log_out(NOBODY, "A" * 43)

    assert await world.seen(world.viewer, world.ada) == [world.ada.session_id]
    assert [kind for kind, *_ in await world.events()] == ["login.succeeded", "session.ended"]


async def test_logging_out_with_both_ends_both(world: World) -> None:
    signed_in = await world.log_in()
    assert isinstance(signed_in, SignedIn)
    await world.log_out(world.stranger, signed_in.refresh_token)

    assert await world.seen(world.viewer, world.ada) == [world.ada.session_id]
    assert await world.seen(world.stranger, world.eve) == []


async def test_nobody_has_nothing_to_log_out_of(world: World) -> None:
    with pytest.raises(NotSignedIn):
        await world.log_out(NOBODY)


async def test_a_session_is_ended_by_its_person_alone(world: World) -> None:
    assert await world.revoke(world.viewer, world.ada.session_id) == world.ada.session_id
    about = {"sessionId": str(world.ada.session_id)}
    assert await world.events() == [("session.revoked", world.ada.id, world.ada.id, about)]
    refusals = set()
    for viewer, session_id in (
        (world.viewer, world.ada.session_id),  # it has ended
        (world.viewer, world.eve.session_id),
        (Viewer(world.ada.id, UserRole.ADMIN), world.eve.session_id),
        (world.viewer, uuid7()),
    ):
        with pytest.raises(NotFound) as refused:
            await world.revoke(viewer, session_id)
        refusals.add((refused.value.message, refused.value.path))
    assert len(refusals) == 1
    with pytest.raises(NotSignedIn):
        await world.revoke(NOBODY, world.eve.session_id)
    assert await world.seen(world.stranger, world.eve) == [world.eve.session_id]


async def test_all_other_sessions_are_ended_at_once(world: World) -> None:
    for _ in range(3):
        await world.add_session(world.ada)

    assert await world.revoke_others(world.viewer) == 3
    assert await world.revoke_others(world.viewer) == 0
    assert await world.seen(world.viewer, world.ada) == [world.ada.session_id]
    assert await world.seen(world.stranger, world.eve) == [world.eve.session_id]
    assert await world.events() == [("sessions.revoked", world.ada.id, world.ada.id, {"sessions": 3})]
    with pytest.raises(NotSignedIn):
        await world.revoke_others(NOBODY)


async def test_sessions_that_end_each_other_at_once_do_not_wait_for_each_other(world: World) -> None:
    ids = [await world.add_session(world.ada) for _ in range(10)]
    await asyncio.gather(*(world.revoke_others(Viewer(world.ada.id, session_id=own)) for own in ids))

    assert len(await world.seen(world.viewer, world.ada)) <= 1


async def test_who_asks_must_be_the_user_of_the_session(world: World) -> None:
    mixed = Holder(world.eve.id, world.ada.session_id)
    token = world.ports.tokens.issue(mixed, NOW, NOW + timedelta(days=1))
    with pytest.raises(Exception, match="has ended"):
        await viewer_of_token(world.db, world.ports.tokens, world.clock, token.text)


async def test_sessions_are_removed_a_day_after_they_ended_with_their_tokens(world: World) -> None:
    signed_in = await world.log_in()
    assert isinstance(signed_in, SignedIn)
    await world.log_out(NOBODY, signed_in.refresh_token)
    async with world.db.transaction() as tx:
        await tx.add(*(a_session(world.eve.id, NOW - timedelta(days=40)) for _ in range(250)))

    async def left() -> tuple[int, int]:
        await sweep(world.db, world.clock.now())
        async with world.db.reading() as rows:
            numbers = [await rows.scalar(select(func.count()).select_from(table)) for table in (Session, RefreshToken)]
        return numbers[0], numbers[1]

    assert await left() == (3, 1)
    world.clock.forward(days=1, seconds=1)
    assert await left() == (2, 0)
    world.clock.forward(days=29)
    assert await left() == (2, 0)
    world.clock.forward(days=1)
    assert await left() == (0, 0)
