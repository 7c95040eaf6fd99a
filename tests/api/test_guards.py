import asyncio
from uuid import uuid4

import pytest

from api import guards
from api.credentials import UNKNOWN, Standing
from api.guards import Guard
from db.bus import Bus, News
from db.models import UserRole
from domain import topics
from domain.errors import BadCredential
from domain.scopes import Scope
from domain.viewer import Viewer

ADA = Viewer(uuid4(), UserRole.USER)
KEY = Viewer(ADA.user_id, UserRole.USER, api_key_id=uuid4(), scopes=frozenset({Scope.FILES_READ}))


class Credential:
    """A credential whose fate a test decides."""

    def __init__(self) -> None:
        self.found: Viewer | Exception = ADA
        self.looks = 0

    async def look(self) -> Viewer:
        self.looks += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def credential() -> Credential:
    return Credential()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def guard(bus: Bus, credential: Credential) -> Guard:
    return Guard(bus, Standing(ADA, credential.look))


async def test_a_good_credential_is_looked_at_each_time(guard: Guard, credential: Credential) -> None:
    await guard.require()
    await guard.require()
    assert credential.looks == 2


@pytest.mark.parametrize("found", [BadCredential(), Viewer(ADA.user_id, UserRole.ADMIN), KEY])
async def test_what_is_good_no_longer_or_for_something_else_is_refused_and_ends_the_watch(
    guard: Guard, credential: Credential, found: Viewer | Exception
) -> None:
    watching = asyncio.create_task(guard.until_over())
    await asyncio.sleep(0)
    credential.found = found
    with pytest.raises(BadCredential):
        await guard.require()
    async with asyncio.timeout(5):
        assert isinstance(await watching, BadCredential)


async def test_news_of_a_credential_have_it_looked_at_at_once(guard: Guard, bus: Bus, credential: Credential) -> None:
    watching = asyncio.create_task(guard.until_over())
    await asyncio.sleep(0)
    bus.tell([News(topics.of_credentials(uuid4()), {}), News(topics.of_credentials(ADA.user_id or uuid4()), {})])
    await asyncio.sleep(0.01)
    assert credential.looks == 1
    credential.found = BadCredential(message="over")
    bus.tell([News(topics.of_credentials(ADA.user_id or uuid4()), {})])
    async with asyncio.timeout(5):
        assert (await watching).message == "over"
    assert not bus.topics


async def test_a_watch_that_is_given_up_listens_no_more(guard: Guard, bus: Bus) -> None:
    watching = asyncio.create_task(guard.until_over())
    await asyncio.sleep(0)
    assert bus.topics
    watching.cancel()
    await asyncio.wait({watching})
    assert not bus.topics


async def test_a_fault_says_nothing_of_a_credential_but_nothing_is_told_meanwhile(
    guard: Guard, credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "CHECK_SECONDS", 0.01)
    watching = asyncio.create_task(guard.until_over())
    credential.found = ConnectionRefusedError()
    with pytest.raises(ConnectionRefusedError):
        await guard.require()
    await asyncio.sleep(0.1)
    assert not watching.done()
    credential.found = BadCredential()
    async with asyncio.timeout(5):
        assert isinstance(await watching, BadCredential)


async def test_nobody_has_nothing_to_lose(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "CHECK_SECONDS", 0.01)
    guard = Guard(bus, UNKNOWN)
    await guard.require()
    watching = asyncio.create_task(guard.until_over())
    await asyncio.sleep(0.05)
    assert not watching.done()
    assert not bus.topics
    watching.cancel()
