"""A database that is away: clients are told that it passes, in the form of all refusals, and the log has a line."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from sqlalchemy.engine.url import make_url
from structlog.testing import capture_logs
from structlog.typing import EventDict

from api.app import create_app
from api.parts import parts_of
from api.ports import SystemRandomness
from api.settings import Settings
from db.bus import News
from domain.key_secrets import draw_prefix, draw_secret
from tests.api.frames import dialled, init, opened, subscribe, text
from tests.api.hostile_messages import WATCH
from tests.api.inside import Inside, inside
from tests.api.test_hostile_streams import get
from tests.asking import HASHING_BYTES, sign_up
from tests.databases import end_others
from tests.lifespan import running
from tests.machine import free_port
from tests.relays import Relay, relayed

KEY = {"X-API-Key": draw_secret(SystemRandomness(), draw_prefix(SystemRandomness())).text}
LOGIN = 'mutation { login(input: {username: "ada", password: "a quiet harbour"}) { accessToken } }'
DOWNLOAD = "/files/file_01a219f197aa71b7aa869dc4759feafc/download"
CHANGE = {"kind": "file.renamed", "file": "0" * 32, "actor": None, "at": "2026-01-01T00:00:00+00:00"}
ASKERS = 20
ENDS = 5


def settings_of(folder: Path, database_url: str) -> Settings:
    return Settings(data_folder=folder, database_url=database_url, disk_floor_bytes=0, rate_limits=False)


@asynccontextmanager
async def asking(folder: Path, database_url: str) -> AsyncIterator[AsyncClient]:
    """A client of a service with this database."""
    settings = settings_of(folder, database_url)
    app = create_app(settings, parts_of(settings, HASHING_BYTES))
    # What the application raises, its server logs: here it would be the client that raises it.
    async with running(app), AsyncClient(transport=ASGITransport(app), base_url="http://cairn.test") as client:
        yield client


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with asking(tmp_path, f"postgresql://cairn:hunter2@127.0.0.1:{free_port()}/cairn") as client:
        yield client


@pytest.fixture
def told() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


def assert_unavailable(answer: Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "hunter2" not in answer.text


async def ask_for_a_field(client: AsyncClient) -> Response:
    return await client.post("/graphql", json={"query": LOGIN})


async def ask_for_a_request(client: AsyncClient) -> Response:
    return await client.post("/graphql", json={"query": "{ viewer { id } }"}, headers=KEY)


async def ask_elsewhere(client: AsyncClient) -> Response:
    return await client.get(DOWNLOAD, headers=KEY)


async def test_it_is_told_of_a_field(client: AsyncClient) -> None:
    answer = (await ask_for_a_field(client)).json()
    assert answer["data"] is None
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["login"], "UNAVAILABLE")
    assert error["extensions"]["requestId"]
    assert error["extensions"]["retryAfterSeconds"] > 0


async def test_it_is_told_of_a_whole_request(client: AsyncClient) -> None:
    answer = await ask_for_a_request(client)
    assert_unavailable(answer)
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_it_is_told_elsewhere_as_a_problem(client: AsyncClient) -> None:
    answer = await ask_elsewhere(client)
    assert_unavailable(answer)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "UNAVAILABLE"


@pytest.mark.parametrize("ask", [ask_for_a_field, ask_for_a_request, ask_elsewhere])
async def test_the_log_has_one_line_for_each_and_how_it_came_about_for_whoever_looks_closer(
    client: AsyncClient, told: list[EventDict], ask: Callable[[AsyncClient], Awaitable[Response]]
) -> None:
    await ask(client)
    line, closer = (line for line in told if line["event"] == "fault")
    assert line.pop("outage").startswith("ConnectionRefusedError: [Errno 111] ")
    assert line == {"event": "fault", "log_level": "warning"}
    assert isinstance(closer.pop("exc_info"), ConnectionRefusedError)
    assert closer == {"event": "fault", "log_level": "debug"}


@pytest.fixture
async def cuttable(tmp_path: Path, postgres_url: str) -> AsyncIterator[tuple[Inside, Relay]]:
    """A service on a socket whose database can be taken away."""
    async with relayed(postgres_url) as relay, inside(settings_of(tmp_path, relay.url)) as service:
        yield service, relay


async def test_a_connection_that_cannot_be_opened_is_closed_for_now(cuttable: tuple[Inside, Relay]) -> None:
    service, relay = cuttable
    ada = await sign_up(service.client)
    await relay.cut()
    async with opened(service.port) as raw:
        await raw.send(init(ada.token))
        assert await raw.ended() == (1013, "The service's database is out of order for now.")


async def test_subscriptions_end_with_it_and_connections_do_not(cuttable: tuple[Inside, Relay]) -> None:
    service, relay = cuttable
    ada = await sign_up(service.client)
    async with opened(service.port, ada.token) as raw, dialled(service.port) as stream:
        await raw.send(subscribe("1", WATCH))
        await stream.send(get(WATCH, ada.headers))
        assert await stream.status() == 200
        assert await service.watched("files:", 2)
        await relay.cut()
        files = [topic for topic in service.parts.db.bus.topics if topic.startswith("files:")]
        service.parts.db.bus.tell([News(topic, CHANGE) for topic in files])
        message = await raw.message()
        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert b'"UNAVAILABLE"' in await stream.reader.readuntil(b"event: complete")
        await raw.send(text({"type": "ping"}))
        assert await raw.message() == {"type": "pong"}


async def test_it_is_told_whatever_was_under_way_when_connections_were_ended(tmp_path: Path, postgres_url: str) -> None:
    async def ask_again_and_again() -> None:
        while not over.is_set():
            answers.append(await ask_elsewhere(client))
            answers.append(await ask_for_a_field(client))

    over, answers = asyncio.Event(), list[Response]()
    async with asking(tmp_path, postgres_url) as client:
        askers = [asyncio.create_task(ask_again_and_again()) for _ in range(ASKERS)]
        for number in count():
            await asyncio.sleep(0.02)
            await end_others(make_url(postgres_url))
            if number >= ENDS and any("UNAVAILABLE" in answer.text for answer in answers):
                break
        over.set()
        await asyncio.gather(*askers)
    assert {answer.status_code for answer in answers} <= {200, 401, 503}
    assert not [answer for answer in answers if "INTERNAL" in answer.text]
