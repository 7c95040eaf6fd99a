import json
from typing import Any

import httpx2
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from api.metrics import Metrics
from api.requests import Requests
from api.samples import Sample
from api.zero_copy import ZERO_COPY
from tests.asking import PASSWORD, SIGNUP, UPLOAD
from tests.live import Live
from tests.scraping import Scraped

REQUESTS = "cairn_http_requests_total"


def scraped(metrics: Metrics) -> Scraped:
    return Scraped(metrics.text(Sample(pools={})).decode())


class Routed:
    """An application behind a route with an id in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.route = Route("/things/{id}", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def passed(app: ASGIApp, sent: list[Message] | None = None, **scope: Any) -> Scraped:
    metrics, out = Metrics(), [] if sent is None else sent

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 10, "more_body": False}

    async def send(message: Message) -> None:
        out.append(message)

    given = {"type": "http", "method": "GET", "path": "/things/7", "headers": [], **scope}
    await Requests(Starlette(routes=[Routed(app).route]), metrics)(given, receive, send)
    return scraped(metrics)


async def test_what_is_sent_in_the_kernel_is_counted_as_it_goes_out() -> None:
    told: list[int] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": ZERO_COPY, "file": 0, "offset": 0, "count": 1000, "on_sent": told.append})

    messages: list[Message] = []
    metrics = Metrics()

    async def send(message: Message) -> None:
        if message["type"] == ZERO_COPY:
            message["on_sent"](300)
            message["on_sent"](100)
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError

    scope = {"type": "http", "method": "GET", "path": "/things/7", "headers": []}
    with capture_logs() as lines:
        await Requests(Starlette(routes=[Routed(app).route]), metrics)(scope, receive, send)
    assert told == [300, 100]
    assert [line["bytes"] for line in lines] == [400]
    assert scraped(metrics).of("cairn_http_sent_bytes_total", route="/things/{id}") == 400


async def test_a_client_that_left_before_the_answer_has_no_status() -> None:
    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()

    found = await passed(app, method="PUT")
    assert found.of(REQUESTS, method="PUT", route="/things/{id}", status="none") == 1
    assert found.of("cairn_http_received_bytes_total", route="/things/{id}") == 10


async def test_time_is_taken_until_the_answer_begins() -> None:
    metrics = Metrics()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        # Whoever reads slowly is not the service's fault.
        before = metrics_seconds(metrics)
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        assert metrics_seconds(metrics) == before

    async with AsyncClient(transport=ASGITransport(Requests(app, metrics)), base_url="http://here") as client:
        await client.get("/")
    found = scraped(metrics)
    assert found.of("cairn_http_request_duration_seconds_count", route="none") == 1
    assert found.of("cairn_http_sent_bytes_total", route="none") == 3


def metrics_seconds(metrics: Metrics) -> float | None:
    return scraped(metrics).of("cairn_http_request_duration_seconds_sum", route="none")


async def test_what_is_not_http_passes_uncounted() -> None:
    metrics, seen = Metrics(), []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def nothing() -> Message:
        raise AssertionError

    async def nowhere(_message: Message) -> None:
        raise AssertionError

    await Requests(app, metrics)({"type": "websocket", "headers": []}, nothing, nowhere)
    assert seen == ["websocket"]
    assert scraped(metrics).total(REQUESTS) == 0


def test_a_file_that_leaves_by_the_kernel_is_counted_to_the_byte(live: Live) -> None:
    content = b"a line of text\n" * 100_000
    with httpx2.Client(base_url=live.url) as client:
        given = {"username": "ada", "email": "ada@example.org", "password": PASSWORD}
        answer = client.post("/graphql", json={"query": SIGNUP, "variables": {"input": given}}).json()
        headers = {"Authorization": f"Bearer {answer['data']['signup']['accessToken']}"}
        uploaded = client.post(
            "/graphql",
            data={
                "operations": json.dumps({"query": UPLOAD, "variables": {"input": {"file": None}}}),
                "map": json.dumps({"0": ["variables.input.file"]}),
            },
            files={"0": ("notes.txt", content)},
            headers=headers,
        ).json()
        file_id = uploaded["data"]["uploadFile"]["file"]["id"]
        assert client.get(f"/files/{file_id}/download", headers=headers).content == content
        part = client.get(f"/files/{file_id}/download", headers={**headers, "Range": "bytes=0-99999"})
        assert len(part.content) == 100_000
        found = Scraped(client.get("/metrics").text)
    assert found.of("cairn_http_sent_bytes_total", route="/files/{file_id}/download") == len(content) + 100_000
    assert found.total("cairn_http_received_bytes_total", route="/graphql") > len(content)
