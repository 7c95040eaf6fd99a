"""Who is answered at /metrics, and who is not told that it exists."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from api.app import create_app
from api.settings import Settings
from tests.lifespan import running
from tests.machine import PATIENCE_SECONDS, free_port
from tests.scraping import BEARER, TOKEN, Scraped

Serve = Callable[..., AbstractAsyncContextManager[AsyncClient]]
PRODUCTION = {"environment": "production", "secret_key": SecretStr("k" * 32)}


@pytest.fixture
def serve(settings: Settings, sqlite_url: str) -> Serve:
    @asynccontextmanager
    async def served(**given: Any) -> AsyncIterator[AsyncClient]:
        own = settings.model_copy(update={"database_url": sqlite_url, **given})
        app = create_app(own)
        async with running(app), AsyncClient(transport=ASGITransport(app), base_url="http://here") as client:
            yield client

    return served


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


async def test_in_development_everybody_is_answered(serve: Serve) -> None:
    async with serve() as client:
        answer = await client.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert answer.headers["cache-control"] == "no-store"
        assert "cairn_build_info" in Scraped(answer.text).names
        assert (await client.head("/metrics")).status_code == 200


async def test_in_production_nobody_is_unless_there_is_a_token(serve: Serve) -> None:
    async with serve(**PRODUCTION) as client:
        answer = await client.get("/metrics")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        assert (await client.get("/metrics", headers=BEARER)).status_code == 404


@pytest.mark.parametrize("environment", [{}, PRODUCTION])
async def test_with_a_token_whoever_has_it_is_answered(serve: Serve, environment: dict[str, Any]) -> None:
    async with serve(metrics_token=SecretStr(TOKEN), **environment) as client:
        assert (await client.get("/metrics", headers=BEARER)).status_code == 200
        assert (await client.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"})).status_code == 200
        for wrong in (None, TOKEN, f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer ", "Bearer ä"):
            headers = [] if wrong is None else [(b"authorization", wrong.encode())]
            answer = await client.get("/metrics", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "cairn_" not in answer.text


async def test_with_a_port_of_their_own_they_are_served_there_and_nowhere_else(serve: Serve) -> None:
    port = free_port()
    async with (
        serve(metrics_port=port) as client,
        AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as other,
    ):
        assert (await client.get("/metrics")).status_code == 404
        await client.get("/health")
        answer = await other.get("/metrics")
        found = Scraped(answer.text)
        assert found.of("cairn_http_requests_total", method="GET", route="/health", status="2xx") == 1
        assert "x-request-id" in answer.headers
        for path in ("/", "/graphql", "/health"):
            refusal = await other.get(path)
            assert (refusal.status_code, refusal.json()["code"]) == (404, "NOT_FOUND")
        again = Scraped((await other.get("/metrics")).text)
        assert again.total("cairn_http_requests_total") == found.total("cairn_http_requests_total")


async def test_a_port_and_a_token_are_both_needed_where_both_are_set(serve: Serve) -> None:
    port = free_port()
    async with (
        serve(metrics_port=port, metrics_token=SecretStr(TOKEN)) as client,
        AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as other,
    ):
        assert (await client.get("/metrics", headers=BEARER)).status_code == 404
        assert (await other.get("/metrics")).status_code == 401
        assert (await other.get("/metrics", headers=BEARER)).status_code == 200


async def test_metrics_are_read_and_nothing_else(serve: Serve) -> None:
    async with serve() as client:
        answer = await client.post("/metrics")
        assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "GET, HEAD"
