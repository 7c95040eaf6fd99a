"""Streams through nginx as it is deployed: upgraded, not buffered, and kept open in silence."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import uvicorn
from httpx2 import AsyncClient, TransportError

from api.event_streams import KEEP_ALIVE_SECONDS
from api.settings import Settings
from tests.asking import ask, sign_up
from tests.clients.test_event_source import TICKET, WATCH
from tests.clients.test_streams import assert_told
from tests.clients.test_uploads import run_node
from tests.live import Live, serving
from tests.machine import PATIENCE_SECONDS, free_port, wait_for
from tests.proxies import CONFIGURATION, Proxy, proxying

MARGIN_SECONDS = 5
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    environment = {"CAIRN_PUBLIC_URL": f"http://127.0.0.1:{port}", "CAIRN_TRUSTED_PROXIES": "127.0.0.1"}
    with serving(folder, environment) as service, proxying(folder, port, service.port) as proxy:
        yield proxy


@pytest.mark.parametrize("client", ["graphql-ws", "graphql-sse"])
async def test_streams_and_uploads_pass_the_proxy_as_they_come(proxy: Proxy, client: str) -> None:
    assert_told(await run_node(f"{client}.mjs", f"{proxy.url}/graphql", client), client)


def test_the_proxy_waits_longer_than_what_keeps_streams_open_takes() -> None:
    timeouts = dict(re.findall(r"(\w+_timeout) (\d+)s;", CONFIGURATION.read_text()))
    ping_seconds = uvicorn.Config("").ws_ping_interval
    assert ping_seconds is not None
    assert int(timeouts["proxy_read_timeout"]) > 2 * max(KEEP_ALIVE_SECONDS, ping_seconds)


def test_the_service_tells_a_stalled_sender_before_the_proxy_cuts_it_off() -> None:
    [body_timeout] = re.findall(r"client_body_timeout (\d+)s;", CONFIGURATION.read_text())
    assert int(body_timeout) > Settings().stall_seconds + MARGIN_SECONDS


def test_the_proxy_lets_go_of_idle_connections_before_the_service_does() -> None:
    [idle_seconds] = re.findall(r"keepalive 32;[^;]*keepalive_timeout (\d+)s;", CONFIGURATION.read_text())
    assert int(idle_seconds) < uvicorn.Config("").timeout_keep_alive


async def test_a_client_that_was_refused_early_hears_that_the_connection_ends_and_goes_on_by_another(
    proxy: Proxy,
) -> None:
    headers = {"Content-Type": "application/json"}
    async with AsyncClient(base_url=proxy.url, timeout=PATIENCE_SECONDS) as client:
        refused = await client.post("/graphql", content=b" " * (5 << 20), headers=headers)
        asked = await client.post("/graphql", json={"query": "{ __typename }"})
    assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (413, "REQUEST_TOO_LARGE")
    assert "close" in refused.headers.get_list("connection")
    assert asked.json() == {"data": {"__typename": "Query"}}
    assert "close" not in asked.headers.get_list("connection")


async def test_clients_can_read_that_the_service_is_away(tmp_path: Path) -> None:
    with proxying(tmp_path, free_port(), free_port()) as proxy:
        async with AsyncClient(base_url=proxy.url, timeout=PATIENCE_SECONDS) as client:
            asked = await client.post("/graphql", json={"query": "{ __typename }"})
            fetched = await client.get("/files/file_1/download")
    assert (asked.status_code, asked.headers["content-type"]) == (502, "application/json")
    assert asked.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert (fetched.status_code, fetched.headers["content-type"]) == (502, "application/problem+json")
    assert fetched.json()["code"] == "UNAVAILABLE"


async def test_no_log_of_the_proxy_has_a_ticket(tmp_path: Path) -> None:
    port = free_port()
    environment = {"CAIRN_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    with serving(tmp_path, environment) as service, proxying(tmp_path, port, service.port) as proxy:
        async with AsyncClient(base_url=proxy.url, timeout=PATIENCE_SECONDS) as client:
            account = await sign_up(client)
            ticket = (await ask(client, TICKET, account))["createStreamTicket"]["ticket"]
            url = f"/graphql?{urlencode({'query': WATCH, 'ticket': ticket})}"
            with pytest.raises(TransportError):
                await read_while_it_dies(client, url, service)
            assert (await client.get(url, headers=STREAM)).status_code == 502
        # A line is written once the answer is out, which the client may have read before.
        assert wait_for(lambda: '"GET /graphql HTTP/1.1" 502' in proxy.log.read_text(), PATIENCE_SECONDS)
        said = proxy.log.read_text()
    assert ticket not in said


async def read_while_it_dies(client: AsyncClient, url: str, service: Live) -> None:
    async with client.stream("GET", url, headers=STREAM) as answer:
        async for _ in answer.aiter_bytes():
            service.kill()


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/%6Detrics", "/metrics?x=1", "/x/../metrics", "/metrics/"])
async def test_metrics_do_not_pass_the_proxy(proxy: Proxy, path: str) -> None:
    host, _, port = proxy.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    # As it stands: a client of HTTP would tidy the path up.
    writer.write(f"GET {path} HTTP/1.1\r\nHost: cairn\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"cairn_" not in answer
