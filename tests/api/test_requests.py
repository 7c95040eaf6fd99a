import asyncio
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs
from structlog.typing import EventDict

from api.logs import request_id
from api.metrics import Metrics
from api.requests import SECURITY_HEADERS, Requests

Header = tuple[bytes, bytes]


def answering(status: int = 200, headers: tuple[Header, ...] = (), pieces: tuple[bytes, ...] = (b"",)) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": iter(headers)})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    return app


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what the request is known as downstream."""
    known = f"{scope['state']['request_id']} {scope['state']['address']} {request_id.get()}".encode()
    await answering(headers=((b"content-type", b"text/plain"),), pieces=(known,))(scope, receive, send)


async def get(app: ASGIApp, path: str = "/", headers: Any = None, client: str = "198.51.100.7") -> Response:
    transport = ASGITransport(app, client=(client, 1), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://cairn.test") as asking:
        return await asking.get(path, headers=headers)


@pytest.fixture
def told() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


@pytest.mark.parametrize("given", ["a", "Z" * 128, "0f.-_9"])
async def test_a_sane_request_id_is_kept_and_given_back(given: str) -> None:
    answer = await get(Requests(echo, Metrics()), headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given
    assert answer.text.split() == [given, "198.51.100.7", given]


@pytest.mark.parametrize("given", ["", "Z" * 129, "a b", "a\tb", "<script>", "ä", "a;b"])
async def test_any_other_is_replaced(given: str) -> None:
    answer = await get(Requests(echo, Metrics()), headers={"X-Request-ID": given.encode()})
    made = answer.headers["x-request-id"]
    assert len(made) == 32
    assert made.isalnum()
    assert answer.text.startswith(f"{made} ")


async def test_two_ids_are_none() -> None:
    answer = await get(Requests(echo, Metrics()), headers=[("X-Request-ID", "one"), ("X-Request-ID", "two")])
    assert answer.headers["x-request-id"] not in {"one", "two", "one, two"}


async def test_every_request_has_an_id_of_its_own() -> None:
    answers = await asyncio.gather(*(get(Requests(echo, Metrics())) for _ in range(20)))
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20
    assert all(answer.text.split()[0] == answer.text.split()[2] for answer in answers)


async def test_answers_have_the_security_headers() -> None:
    answer = await get(Requests(answering(), Metrics()))
    assert {name: answer.headers[name] for name in dict.fromkeys(name.decode() for name, _ in SECURITY_HEADERS)} == {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }
    assert "strict-transport-security" not in answer.headers


async def test_behind_https_browsers_are_told_to_stay_there() -> None:
    answer = await get(Requests(answering(), Metrics(), is_https=True))
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_what_an_answer_sets_itself_stays_alone() -> None:
    answer = await get(Requests(answering(headers=((b"content-security-policy", b"sandbox"),)), Metrics()))
    assert answer.headers.get_list("content-security-policy") == ["sandbox"]
    assert answer.headers["x-frame-options"] == "DENY"


async def test_a_line_is_logged_without_the_query(told: list[EventDict]) -> None:
    await get(Requests(answering(206, pieces=(b"abc", b"de")), Metrics()), "/files/1/download?signature=hunter2")
    [line] = told
    assert line["duration_ms"] >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "path": "/files/1/download",
        "status": 206,
        "bytes": 5,
        "address": "198.51.100.7",
        "duration_ms": line["duration_ms"],
    }


async def test_a_path_cannot_write_lines_or_flood_the_log(told: list[EventDict]) -> None:
    await get(Requests(answering(), Metrics()), "/a%0Alevel=error%1b[2J" + "x" * 10_000)
    [line] = told
    assert line["path"].startswith("/a%0Alevel=error%1B[2J") or line["path"].startswith("/a%0Alevel=error%1b[2J")
    assert len(line["path"]) == 512


async def test_a_path_without_its_raw_form_is_logged_all_the_same(told: list[EventDict]) -> None:
    scope: Scope = {"type": "http", "method": "GET", "path": "/ä\n?x", "headers": [], "client": None}
    await Requests(answering(), Metrics())(scope, _nothing, _nowhere)
    assert told[0]["path"] == "/\\xc3\\xa4\n"
    assert told[0]["address"] is None


@pytest.mark.parametrize(
    ("path", "status", "level"), [("/graphql", 200, "info"), ("/health", 200, "debug"), ("/health", 503, "warning")]
)
async def test_probes_are_quiet_and_faults_are_not(told: list[EventDict], path: str, status: int, level: str) -> None:
    await get(Requests(answering(status), Metrics()), path)
    assert told[0]["log_level"] == level


async def test_a_fault_passes_and_is_logged_as_a_request_without_a_status(told: list[EventDict]) -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await Requests(broken, Metrics())(
            {"type": "http", "method": "GET", "path": "/", "headers": []}, _nothing, _nowhere
        )
    assert told[0]["status"] is None


async def test_pieces_pass_one_by_one() -> None:
    passed: list[Message] = []

    async def stream(_scope: Scope, _receive: Receive, send: Send) -> None:
        for number in range(3):
            message: Message = {"type": "http.response.body", "body": b"x", "more_body": number < 2}
            await send(message)
            assert passed[-1] is message

    async def keep(message: Message) -> None:
        passed.append(message)

    await Requests(stream, Metrics())({"type": "http", "method": "GET", "path": "/", "headers": []}, _nothing, keep)
    assert len(passed) == 3


async def test_the_clients_address_is_believed_from_trusted_proxies_alone() -> None:
    app = Requests(echo, Metrics(), trusted_proxies=(ip_network("10.0.0.0/8"),))
    headers = [("X-Forwarded-For", "6.6.6.6, 203.0.113.9"), ("X-Forwarded-For", "10.0.0.2")]
    assert (await get(app, headers=headers, client="10.0.0.1")).text.split()[1] == "203.0.113.9"
    assert (await get(app, headers=headers, client="198.51.100.7")).text.split()[1] == "198.51.100.7"
    assert (await get(Requests(echo, Metrics()), headers=headers, client="10.0.0.1")).text.split()[1] == "10.0.0.1"


async def test_a_websocket_is_identified_and_left_alone(told: list[EventDict]) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        seen.append(scope)
        assert send is _nowhere

    await Requests(app, Metrics())(
        {"type": "websocket", "headers": [(b"x-request-id", b"w")], "client": None}, _nothing, _nowhere
    )
    assert seen[0]["state"] == {"request_id": "w", "address": None}
    assert told == []


async def test_the_servers_own_life_passes_untouched() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    scope = {"type": "lifespan"}
    await Requests(app, Metrics())(scope, _nothing, _nowhere)
    assert seen == [{"type": "lifespan"}]


async def _nothing() -> Message:
    return {"type": "http.request"}


async def _nowhere(_message: Message) -> None:
    return
