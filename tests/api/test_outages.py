"""A database that is away: clients are told that it passes, in the form of all refusals, and the log has the fault."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient, Response

from api.app import create_app
from api.ports import SystemRandomness
from api.settings import Settings
from domain.key_secrets import draw_prefix, draw_secret
from tests.lifespan import running
from tests.machine import free_port

KEY = {"X-API-Key": draw_secret(SystemRandomness(), draw_prefix(SystemRandomness())).text}
LOGIN = 'mutation { login(input: {username: "ada", password: "a quiet harbour"}) { accessToken } }'


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    url = f"postgresql://cairn:hunter2@127.0.0.1:{free_port()}/cairn"
    app = create_app(Settings(data_folder=tmp_path, database_url=url, disk_floor_bytes=0))
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with running(app), AsyncClient(transport=transport, base_url="http://cairn.test") as client:
        yield client


def assert_unavailable(answer: Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "hunter2" not in answer.text


async def test_it_is_told_of_a_field(client: AsyncClient) -> None:
    answer = (await client.post("/graphql", json={"query": LOGIN})).json()
    assert answer["data"] is None
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["login"], "UNAVAILABLE")
    assert error["extensions"]["requestId"]
    assert error["extensions"]["retryAfterSeconds"] > 0


async def test_it_is_told_of_a_whole_request(client: AsyncClient) -> None:
    answer = await client.post("/graphql", json={"query": "{ viewer { id } }"}, headers=KEY)
    assert_unavailable(answer)
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_it_is_told_elsewhere_as_a_problem(client: AsyncClient) -> None:
    answer = await client.get("/files/file_01a219f197aa71b7aa869dc4759feafc/download", headers=KEY)
    assert_unavailable(answer)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "UNAVAILABLE"
