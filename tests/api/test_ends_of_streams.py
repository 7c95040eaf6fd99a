"""What ends a stream while it is open, by every connection; nothing of those that have ended is left behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from httpx2 import AsyncClient

from api import guards
from api.settings import Settings
from db.models import WorkspaceRole
from db.rates import Rate
from tests.api.frames import dialled, frame, handshake, opened, subscribe, text
from tests.api.hostile_messages import WATCH, WATCH_PLACE, WATCH_UPLOAD
from tests.api.inside import Inside, inside
from tests.api.test_hostile_streams import get
from tests.asking import Account, ask, create_key, log_in, sign_up, uploaded
from tests.backstage import join, promote
from tests.live import serving
from tests.machine import PATIENCE_SECONDS

CREATE = "mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) { workspace { id } } }"
UPDATE = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { problems { code } } }"
REMOVE = "mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { problems { code } } }"
REVOKE = "mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { problems { code } } }"
DISABLE = "mutation ($input: SetUserDisabledInput!) { setUserDisabled(input: $input) { problems { code } } }"
LOGOUT = "mutation { logout { problems { code } } }"
FORBIDDEN = 4403


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Inside]:
    async with inside(settings) as found:
        yield found


async def team_of(service: Inside, owner: Account, database_url: str) -> tuple[str, Account]:
    """A workspace of the owner's, and an editor of it."""
    made = await ask(service.client, CREATE, owner, input={"name": "Team"})
    place: str = made["createWorkspace"]["workspace"]["id"]
    bob = await sign_up(service.client, "bob")
    await join(database_url, bob, place, WorkspaceRole.EDITOR)
    return place, bob


async def test_nothing_is_left_of_clients_that_have_gone(service: Inside) -> None:
    ada = await sign_up(service.client)
    for _ in range(5):
        async with opened(service.port, ada.token) as raw, dialled(service.port) as stream:
            await raw.send(*[subscribe(str(number), WATCH) for number in range(10)])
            await raw.send(*[subscribe(f"u{number}", WATCH_UPLOAD, id="upl_" + "0" * 32) for number in range(10)])
            await stream.send(get(WATCH, ada.headers))
            assert await service.watched("files:", 11)
            assert await service.watched("upload:", 10)
            assert service.parts.streams.count == 2
            await raw.send(text({"type": "complete", "id": "1"}))
            assert await service.watched("files:", 10)
    assert await service.is_quiet()


async def test_nothing_is_left_of_subscriptions_that_begin_and_end_in_a_storm(service: Inside) -> None:
    ada = await sign_up(service.client)
    async with opened(service.port, ada.token) as raw:
        for number in range(200):
            await raw.send(subscribe(str(number), WATCH if number % 2 else "{ viewer { account { email } } }"))
            if number % 7 == 0:
                await asyncio.sleep(0.002)
            await raw.send(text({"type": "complete", "id": str(number)}))
        await raw.send(frame(8))
        assert (await raw.ended())[0] == 1005
    assert await service.is_quiet()
    assert (await log_in(service.client))["problems"] == []


async def test_a_member_who_is_removed_gets_no_more_events(service: Inside, database_url: str) -> None:
    ada = await sign_up(service.client)
    place, bob = await team_of(service, ada, database_url)
    async with opened(service.port, bob.token) as raw, dialled(service.port) as stream:
        await raw.send(subscribe("1", WATCH_PLACE, id=place))
        await stream.send(get(WATCH_PLACE, bob.headers, variables=f'{{"id": "{place}"}}'))
        assert await stream.status() == 200
        assert await service.watched("files:", 2)
        await ask(service.client, REMOVE, ada, input={"workspaceId": place, "userId": bob.id})
        await uploaded(service.client, ada, workspaceId=place)
        message = await raw.message()
        assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "NOT_FOUND")
        assert b'"NOT_FOUND"' in await stream.reader.readuntil(b"event: complete")
        assert await service.watched("files:", 0)
        await raw.send(subscribe("1", "{ __typename }"))  # the connection itself is as good as before
        assert (await raw.message())["type"] == "next"


async def test_a_member_of_another_role_reads_on(service: Inside, database_url: str) -> None:
    ada = await sign_up(service.client)
    place, bob = await team_of(service, ada, database_url)
    async with opened(service.port, bob.token) as raw:
        await raw.send(subscribe("1", WATCH_PLACE, id=place))
        assert await service.watched("files:")
        await ask(service.client, UPDATE, ada, input={"workspaceId": place, "userId": bob.id, "role": "VIEWER"})
        await uploaded(service.client, ada, workspaceId=place)
        assert (await raw.message())["payload"] == {"data": {"fileChanged": {"kind": "FILE_UPLOADED"}}}


async def test_a_session_that_has_ended_ends_its_streams_at_once(service: Inside) -> None:
    ada = await sign_up(service.client)
    async with opened(service.port, ada.token) as raw, dialled(service.port) as stream:
        await raw.send(subscribe("1", WATCH))
        await stream.send(get(WATCH, ada.headers))
        assert await service.watched("files:", 2)
        await ask(service.client, LOGOUT, ada)
        assert (await raw.ended())[0] == FORBIDDEN
        assert raw.heard == []
        assert await stream.status() == 200
        assert b'"UNAUTHENTICATED"' in await stream.reader.readuntil(b"event: complete")
    assert await service.is_quiet()


async def test_a_key_that_is_revoked_and_a_person_who_is_disabled_are_cut_off_at_once(
    service: Inside, database_url: str
) -> None:
    ada, root = await sign_up(service.client), await sign_up(service.client, "root")
    key = await create_key(service.client, ada, "files:read")
    await promote(database_url, root)
    async with opened(service.port, key.token) as by_key, opened(service.port, ada.token) as raw:
        await by_key.send(subscribe("1", WATCH))
        assert await service.watched("files:")
        await ask(service.client, REVOKE, ada, input={"id": key.id})
        assert (await by_key.ended())[0] == FORBIDDEN
        await ask(service.client, DISABLE, root, input={"id": ada.id, "disabled": True})
        assert (await raw.ended())[0] == FORBIDDEN
    assert await service.is_quiet()


async def test_a_token_whose_time_is_over_ends_what_it_began(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "CHECK_SECONDS", 0.1)
    async with inside(settings.model_copy(update={"access_token_seconds": 2})) as service:
        ada = await sign_up(service.client)
        async with opened(service.port, ada.token) as raw:
            await raw.send(subscribe("1", WATCH))
            assert (await raw.ended())[0] == FORBIDDEN
        async with opened(service.port) as late:
            await late.send(text({"type": "connection_init", "payload": {"authorization": f"Bearer {ada.token}"}}))
            assert (await late.ended())[0] == FORBIDDEN
        assert await service.is_quiet()


async def test_handshakes_and_operations_count_against_the_limits_of_requests(settings: Settings) -> None:
    limits = {"rate_limits": True, "requests_per_address": Rate(8, 3600), "requests_per_user": Rate(5, 3600)}
    async with inside(settings.model_copy(update=limits)) as service:
        ada = await sign_up(service.client)
        async with opened(service.port, ada.token) as raw:
            codes = []
            for number in range(8):
                await raw.send(subscribe(str(number), "{ nonsense }"))
                codes.append((await raw.message())["payload"][0]["extensions"]["code"])
            assert codes == ["GRAPHQL_VALIDATION_FAILED"] * 5 + ["RATE_LIMITED"] * 3
        statuses = []
        for _ in range(8):
            async with dialled(service.port) as raw:
                await raw.send(handshake())
                statuses.append(await raw.status())
        assert statuses == [101] * 6 + [429] * 2
        assert await service.is_quiet()


async def test_a_stop_ends_streams_in_good_order(settings: Settings) -> None:
    async with AsyncExitStack() as kept:
        async with inside(settings) as service:
            ada = await sign_up(service.client)
            raw = await kept.enter_async_context(opened(service.port, ada.token))
            await raw.send(subscribe("1", WATCH))
            assert await service.watched("files:")
        assert (await raw.ended())[0] == 1012
        assert service.parts.db.bus.topics == frozenset()
        assert service.parts.streams.count == 0


async def test_a_session_that_ends_in_another_process_ends_here(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environment = {
        "CAIRN_DATABASE_URL": postgres_url,
        "CAIRN_SECRET_KEY": "one secret that both of the processes share",
        "CAIRN_PUBLIC_URL": "http://cairn.test",
    }
    with (
        serving(tmp_path_factory.mktemp("here"), environment) as here,
        serving(tmp_path_factory.mktemp("there"), environment) as there,
    ):
        async with AsyncClient(base_url=there.url, timeout=PATIENCE_SECONDS) as client:
            ada = await sign_up(client)
            async with opened(here.port, ada.token) as raw:
                await raw.send(subscribe("1", WATCH))
                while True:  # until it listens, and the other process is heard
                    await uploaded(client, ada)
                    try:
                        async with asyncio.timeout(1):
                            assert (await raw.message())["type"] == "next"
                            break
                    except TimeoutError:
                        pass
                await ask(client, LOGOUT, ada)
                assert (await raw.ended())[0] == FORBIDDEN
