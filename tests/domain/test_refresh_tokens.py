"""A session kept going: each refresh token is good once, and a used one ends it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update
from sqlmodel import col

from db import users
from db.engine import Database
from db.models import Event, RefreshToken, Session, User
from domain.errors import ExpiredCredential, RefreshTokenInvalid
from domain.events import RequestFacts
from domain.ports import Ports
from domain.refresh_tokens import SignedIn, open_session, refresh
from domain.sessions import viewer_of_token
from tests.records import NOW, MovableClock, add_person, make_ports

FACTS = RequestFacts("req-1", "192.0.2.1", "curl/8\0\x1b[31m " + "x" * 1000)


@dataclass(frozen=True, slots=True)
class World:
    """Somebody who has just signed in."""

    db: Database
    clock: MovableClock
    ports: Ports
    first: SignedIn

    async def refresh(self, token: str) -> SignedIn | RefreshTokenInvalid:
        async with self.db.transaction() as tx:
            return await refresh(tx, self.ports, token, FACTS)

    async def refreshed(self, token: str) -> SignedIn:
        outcome = await self.refresh(token)
        assert isinstance(outcome, SignedIn)
        return outcome

    async def is_let_in(self, signed_in: SignedIn) -> bool:
        try:
            viewer = await viewer_of_token(self.db, self.ports.tokens, self.clock, signed_in.token.text)
        except ExpiredCredential:
            return False
        assert (viewer.user_id, viewer.session_id) == (signed_in.user.id, signed_in.session_id)
        return True

    async def events(self) -> list[tuple[object, ...]]:
        statement = select(col(Event.kind), col(Event.actor_id), col(Event.target_id), col(Event.data))
        async with self.db.reading() as rows:
            return [tuple(row) for row in await rows.all(statement.order_by(col(Event.id)))]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db, clock = Database(database_url), MovableClock()
    ports = make_ports(clock)
    person = await add_person(db, "ada")
    async with db.transaction() as tx:
        [user] = await users.by_ids(tx, [person.id])
        first = await open_session(tx, ports, user, FACTS, clock.now())
    yield World(db, clock, ports, first)
    await db.close()


async def test_a_refresh_token_gives_the_next_tokens_of_the_same_session(world: World) -> None:
    world.clock.forward(minutes=10)
    second = await world.refreshed(world.first.refresh_token)
    third = await world.refreshed(second.refresh_token)

    assert {signed_in.session_id for signed_in in (world.first, second, third)} == {world.first.session_id}
    assert len({signed_in.refresh_token for signed_in in (world.first, second, third)}) == 3
    assert third.user == world.first.user
    assert await world.is_let_in(world.first)
    assert await world.is_let_in(third)
    assert await world.events() == []


async def test_only_hashes_of_refresh_tokens_are_kept_and_what_a_client_calls_itself_is_bounded(world: World) -> None:
    async with world.db.reading() as rows:
        kept = await rows.all(select(col(RefreshToken.token_hash)))
        session = await rows.first(
            select(col(Session.address), col(Session.user_agent)).where(col(Session.id) == world.first.session_id)
        )
    assert len(world.first.refresh_token) == 43
    assert world.first.refresh_token not in str(kept)
    assert session is not None
    assert session.address == "192.0.2.1"
    assert session.user_agent == ("curl/8[31m " + "x" * 1000)[:256]


async def test_a_used_token_ends_the_session_of_everybody_and_is_recorded_once(world: World) -> None:
    second = await world.refreshed(world.first.refresh_token)
    assert isinstance(await world.refresh(world.first.refresh_token), RefreshTokenInvalid)

    assert not await world.is_let_in(world.first)
    assert not await world.is_let_in(second)
    for token in (second.refresh_token, world.first.refresh_token):
        assert isinstance(await world.refresh(token), RefreshTokenInvalid)
    about = {"sessionId": str(world.first.session_id)}
    assert await world.events() == [("refresh.reused", None, world.first.user.id, about)]


async def test_of_fifty_who_present_one_token_at_once_one_wins(world: World) -> None:
    outcomes = await asyncio.gather(*(world.refresh(world.first.refresh_token) for _ in range(50)))

    won = [outcome for outcome in outcomes if isinstance(outcome, SignedIn)]
    assert len(won) == 1
    assert not await world.is_let_in(won[0])
    async with world.db.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(RefreshToken)) == 2
    assert [kind for kind, *_ in await world.events()] == ["refresh.reused"]


async def test_a_session_that_is_refreshed_lasts_and_one_that_is_not_ends(world: World) -> None:
    token = world.first.refresh_token
    for _ in range(5):
        world.clock.forward(days=29)
        token = (await world.refreshed(token)).refresh_token
    world.clock.forward(days=30)

    assert isinstance(await world.refresh(token), RefreshTokenInvalid)


async def test_a_session_ends_a_year_after_it_began_however_often_it_is_refreshed(world: World) -> None:
    signed_in = world.first
    for _ in range(13):
        world.clock.forward(days=28)
        signed_in = await world.refreshed(signed_in.refresh_token)
    world.clock.time = NOW + timedelta(days=365, minutes=-1)
    signed_in = await world.refreshed(signed_in.refresh_token)

    assert signed_in.token.expires_at == NOW + timedelta(days=365)
    assert await world.is_let_in(signed_in)
    world.clock.forward(minutes=1)
    assert isinstance(await world.refresh(signed_in.refresh_token), RefreshTokenInvalid)
    assert not await world.is_let_in(signed_in)


@pytest.mark.parametrize("change", ["disabled", "deleted"])
async def test_a_user_who_is_disabled_or_gone_is_out_at_once(world: World, change: str) -> None:
    async with world.db.transaction() as tx:
        disabling = update(User).values(disabled_at=NOW)
        await tx.execute(disabling if change == "disabled" else delete(User))

    assert not await world.is_let_in(world.first)
    assert isinstance(await world.refresh(world.first.refresh_token), RefreshTokenInvalid)


@pytest.mark.parametrize(
    "token", ["", "x", "A" * 42, "A" * 43, "A" * 44, "A" * 100_000, "\0" * 43, "\ud800" * 43, "é" * 43, "A" * 43 + "\n"]
)
async def test_what_was_never_given_out_is_refused_and_ends_nothing(world: World, token: str) -> None:
    assert isinstance(await world.refresh(token), RefreshTokenInvalid)
    assert await world.is_let_in(world.first)
    assert await world.events() == []
