"""Early answers: every client gets them, however much it still has to send, and nobody is kept for long."""

import http.client
import json
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.parting import Parting
from tests.api.served import served
from tests.machine import program

DISCARD_SECONDS = 2.0
DISCARD_BYTES = 64 << 20
ANSWER = b"no, thank you"
LARGE = 16 << 20
SENDING = Path(__file__).parent / "sending.mjs"


async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers /now without reading, /late after the first piece, /all after the whole body."""
    more = scope["path"] != "/now"
    while more:
        more = (await receive()).get("more_body", False) and scope["path"] == "/all"
    await send(
        {
            "type": "http.response.start",
            "status": 413,
            "headers": [(b"content-length", str(len(ANSWER)).encode()), (b"content-type", b"text/plain")],
        }
    )
    await send({"type": "http.response.body", "body": ANSWER})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(Parting(refuses, DISCARD_SECONDS, DISCARD_BYTES)) as port:
        yield port


@pytest.mark.parametrize("path", ["/now", "/late"])
def test_pythons_client_gets_the_answer_while_it_sends(port: int, path: str) -> None:
    for _ in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", path, body=bytes(LARGE))
        response = connection.getresponse()
        assert (response.status, response.read(), response.getheader("connection")) == (413, ANSWER, "close")
        connection.close()


@pytest.mark.parametrize("path", ["/now", "/late"])
@pytest.mark.parametrize("options", [[], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked", "-H", "Expect:"]])
def test_curl_gets_the_answer_while_it_sends(port: int, path: str, options: list[str], tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(LARGE))
    curl = [program("curl"), "-sS", "-m", "10", "--data-binary", f"@{large}", "-w", " %{http_code}", *options]
    seen = Counter(
        subprocess.run([*curl, f"http://127.0.0.1:{port}{path}"], check=False, capture_output=True, text=True).stdout
        for _ in range(5)
    )
    assert seen == {f"{ANSWER.decode()} 413": 5}


@pytest.mark.parametrize("path", ["/now", "/late"])
def test_undici_gets_the_answer_while_it_sends(port: int, path: str) -> None:
    command = [program("node"), str(SENDING), f"http://127.0.0.1:{port}{path}", "40", str(LARGE)]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert json.loads(run.stdout) == {f"413 {ANSWER.decode()}": 40}


def test_a_client_that_never_stops_is_left_after_a_while(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        sender.sendall(b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        began = time.monotonic()
        answer = b""
        while piece := sender.recv(65536):
            answer += piece
        assert answer.endswith(ANSWER)
        assert DISCARD_SECONDS - 0.2 < time.monotonic() - began < DISCARD_SECONDS + 2


def test_only_so_much_is_discarded() -> None:
    with served(Parting(refuses, 30, 1 << 20)) as port:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
            sender.sendall(b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
            with pytest.raises(OSError, match=r"(?i)reset|broken pipe"):
                sender.sendall(bytes(1000 << 20))
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "request_head",
    [b"POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n"],
)
def test_a_connection_whose_body_was_read_is_kept(port: int, request_head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        for _ in range(3):
            sender.sendall(request_head)
            answer = sender.recv(65536)
            while ANSWER not in answer:
                answer += sender.recv(65536)
            assert b"connection: close" not in answer.lower()


def test_a_small_body_that_nobody_read_does_not_cost_the_connection(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        for _ in range(3):
            sender.sendall(b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
            answer = sender.recv(65536)
            while ANSWER not in answer:
                answer += sender.recv(65536)
            assert b"connection: close" not in answer.lower()


def test_a_client_that_waits_for_a_word_to_continue_is_refused_without_it(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sender:
        sender.sendall(b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        answer = b""
        while piece := sender.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer.lower()


async def test_what_was_looked_at_ahead_is_still_there_for_the_application() -> None:
    async def answers_first(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        await send({"type": "http.response.body", "body": body})

    pieces = [b"a", b"b", b"c", b"d", b"e", b"f"]
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"content-length", b"6")]}
    await Parting(answers_first, 1, 1)(scope, receive, send)
    assert sent[1]["body"] == b"abcdef"


async def test_other_connections_pass_unchanged() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["type"], receive, send))

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        del message

    for scope in ({"type": "websocket"}, {"type": "http", "headers": [(b"content-length", b"0")]}):
        await Parting(app, 1, 1)(scope, receive, send)
        assert seen.pop() == (scope["type"], receive, send)
