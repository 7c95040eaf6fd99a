import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from db.models import Session, StreamTicket, UserRole
from domain.errors import BadCredential, ExpiredCredential, NotForKeys, NotSignedIn
from domain.scopes import Scope
from domain.stream_tickets import LIFETIME, create_ticket, redeem, sweep, viewer_of_pass
from domain.viewer import NOBODY, Viewer
from tests.scenes import Scene


def signed_in(scene: Scene) -> Viewer:
    return Viewer(scene.id("owner"), UserRole.USER, scene.people["owner"].session_id)


async def ticket_of(scene: Scene, viewer: Viewer) -> str:
    async with scene.db.transaction() as tx:
        return (await create_ticket(tx, scene.ports, viewer)).text


async def test_a_ticket_is_good_once_for_the_session_that_asked(scene: Scene) -> None:
    viewer = signed_in(scene)
    ticket = await ticket_of(scene, viewer)
    stream_pass = await redeem(scene.db, scene.ports, ticket)
    assert await viewer_of_pass(scene.db, scene.ports, stream_pass) == viewer
    with pytest.raises(BadCredential):
        await redeem(scene.db, scene.ports, ticket)


async def test_of_many_who_present_a_ticket_at_once_one_gets_in(scene: Scene) -> None:
    ticket = await ticket_of(scene, signed_in(scene))
    tried = await asyncio.gather(*(redeem(scene.db, scene.ports, ticket) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(outcome, BadCredential) for outcome in tried) == 19


async def test_what_is_no_ticket_or_comes_too_late_is_not_good(scene: Scene) -> None:
    ticket = await ticket_of(scene, signed_in(scene))
    for wrong in ("", "x" * 43, "nothing like it\0"):
        with pytest.raises(BadCredential):
            await redeem(scene.db, scene.ports, wrong)
    scene.clock.time += LIFETIME
    with pytest.raises(BadCredential):
        await redeem(scene.db, scene.ports, ticket)


async def test_a_stream_ends_with_its_session_and_with_its_time(scene: Scene) -> None:
    viewer = signed_in(scene)
    long, ended = [await redeem(scene.db, scene.ports, await ticket_of(scene, viewer)) for _ in range(2)]
    scene.clock.time += scene.ports.tokens.lifetime
    with pytest.raises(ExpiredCredential):
        await viewer_of_pass(scene.db, scene.ports, long)
    async with scene.db.transaction() as tx:
        await tx.execute(
            update(Session).where(col(Session.id) == viewer.session_id).values(revoked_at=scene.clock.now())
        )
    with pytest.raises(ExpiredCredential):
        await viewer_of_pass(scene.db, scene.ports, ended)


async def test_tickets_are_for_people_who_have_signed_in(scene: Scene) -> None:
    async with scene.db.transaction() as tx:
        with pytest.raises(NotForKeys):
            await create_ticket(tx, scene.ports, Viewer(scene.id("owner"), scopes=frozenset({Scope.FILES_READ})))
        for viewer in (NOBODY, scene.viewer("owner")):
            with pytest.raises(NotSignedIn):
                await create_ticket(tx, scene.ports, viewer)


async def test_tickets_that_nobody_used_are_forgotten(scene: Scene) -> None:
    viewer = signed_in(scene)
    await ticket_of(scene, viewer)
    scene.clock.time += LIFETIME
    await ticket_of(scene, viewer)
    scene.clock.time += timedelta(seconds=1)
    await sweep(scene.db, scene.clock.now())
    async with scene.db.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(StreamTicket)) == 1
