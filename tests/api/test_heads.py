import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from api.heads import MAXIMUM_HEAD_BYTES
from tests.api.served import served

HEAD_SECONDS = 0.5
REQUEST = b"GET /fast HTTP/1.1\r\nHost: cairn.test\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers when the body has come; /slow takes longer than a head may, /early answers first and reads then.

    /headers names the headers that it was asked with.
    """
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    if scope["path"] == "/early":
        await send(start)
    while (await receive()).get("more_body", False):
        pass
    if scope["path"] == "/headers":
        start["headers"] = [(b"names", b",".join(name for name, _ in scope["headers"])), (b"content-length", b"2")]
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * HEAD_SECONDS)
    if scope["path"] != "/early":
        await send(start)
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(app, HEAD_SECONDS) as own:
        yield own


@pytest.fixture
def peer(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as own:
        yield own


def answer(peer: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    received = b""
    try:
        while piece := peer.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def refusal(received: bytes) -> Any:
    """The body of a refusal, whose request id is also in its head, without that id."""
    head, _, body = received.partition(b"\r\n\r\n")
    told = json.loads(body)
    identifier = (told["errors"][0]["extensions"] if "errors" in told else told).pop("requestId")
    assert f"x-request-id: {identifier}".encode() in head
    assert b"connection: close" in head
    assert f"content-length: {len(body)}".encode() in head
    return told


def one_answer(peer: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"ok"):
        received += peer.recv(65536)
    return received


def test_an_ordinary_request_is_answered_and_the_connection_stays(peer: socket.socket) -> None:
    for _ in range(3):
        peer.sendall(REQUEST)
        assert one_answer(peer).startswith(b"HTTP/1.1 200 OK")


def test_a_head_may_come_in_pieces(peer: socket.socket) -> None:
    for piece in (REQUEST[:5], REQUEST[5:20], REQUEST[20:]):
        peer.sendall(piece)
        time.sleep(0.05)
    assert one_answer(peer).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"GET /fast HTTP/1.1\r\nX: " + b"a" * 1000, id="one header"),
        pytest.param(b"GET /fast HTTP/1.1\r\n" + b"X: a\r\n" * 200, id="many headers"),
        pytest.param(b"GET /" + b"a" * 1000, id="path"),
        pytest.param(b"\r\n" * 500, id="empty lines"),
        pytest.param(
            b"POST /fast HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: " + b"a" * 1000, id="trailer"
        ),
    ],
)
def test_a_head_without_end_is_cut_at_its_limit(peer: socket.socket, endless: bytes) -> None:
    more = endless[-1:] if endless[-2:] != b"\r\n" else endless[-6:] if b"X" in endless else b"\r\n"
    sent = 0
    try:
        peer.sendall(endless)
        while sent < 100 * MAXIMUM_HEAD_BYTES:
            peer.sendall(more * (4096 // len(more)))
            sent += 4096
    except OSError:
        pass
    assert sent < 100 * MAXIMUM_HEAD_BYTES


def test_a_head_over_the_limit_is_told_so(peer: socket.socket) -> None:
    peer.sendall(b"GET /fast HTTP/1.1\r\nX: ")
    for _ in range(MAXIMUM_HEAD_BYTES // 4096 + 1):
        time.sleep(0.002)
        peer.sendall(b"a" * 4096)
    assert refusal(answer(peer)) == {
        "code": "REQUEST_HEADER_FIELDS_TOO_LARGE",
        "title": "Request Header Fields Too Large",
        "status": 431,
        "detail": "The request's head is larger than 65536 bytes.",
    }


@pytest.mark.parametrize("begun", [b"", b"GET", b"GET /fast HTTP/1.1\r\nHost: cairn", b"\r\n"])
def test_a_head_that_does_not_come_is_not_waited_for(peer: socket.socket, begun: bytes) -> None:
    peer.sendall(begun)
    assert refusal(answer(peer))["status"] == 408


def test_a_byte_now_and_then_does_not_extend_the_time(peer: socket.socket) -> None:
    began = time.monotonic()
    try:
        for byte in b"GET /fast HTTP/1.1\r\nHost: " + b"a" * 1000:
            peer.sendall(bytes([byte]))
            time.sleep(0.02)
    except OSError:
        pass
    assert time.monotonic() - began < 10 * HEAD_SECONDS


@pytest.mark.parametrize("begun", [b"GET", b"\r\n"])
def test_the_second_head_of_a_connection_has_a_deadline_too(peer: socket.socket, begun: bytes) -> None:
    peer.sendall(REQUEST)
    one_answer(peer)
    peer.sendall(begun)
    assert refusal(answer(peer))["status"] == 408


def test_an_answer_may_take_longer_than_a_head(peer: socket.socket) -> None:
    peer.sendall(REQUEST.replace(b"fast", b"slow"))
    assert one_answer(peer).startswith(b"HTTP/1.1 200 OK")
    peer.sendall(REQUEST)
    assert one_answer(peer).startswith(b"HTTP/1.1 200 OK")


def test_a_head_begun_during_a_long_answer_does_not_cut_it(peer: socket.socket) -> None:
    peer.sendall(REQUEST.replace(b"fast", b"slow") + b"GET /fast")
    assert one_answer(peer).startswith(b"HTTP/1.1 200 OK")
    peer.sendall(b" HTTP/1.1\r\nHost: cairn.test\r\n\r\n")
    assert one_answer(peer).startswith(b"HTTP/1.1 200 OK")


def test_a_body_may_pause_longer_than_a_head(peer: socket.socket) -> None:
    peer.sendall(b"POST /fast HTTP/1.1\r\nHost: cairn.test\r\nContent-Length: 4\r\n\r\nab")
    time.sleep(2 * HEAD_SECONDS)
    peer.sendall(b"cd")
    assert one_answer(peer).startswith(b"HTTP/1.1 200 OK")


def test_what_is_not_http_is_refused_as_a_problem(peer: socket.socket) -> None:
    peer.sendall(b"HELLO\r\n\r\n")
    assert refusal(answer(peer)) == {
        "code": "BAD_REQUEST",
        "title": "Bad Request",
        "status": 400,
        "detail": "Invalid HTTP request received.",
    }


def test_at_graphql_it_is_refused_as_graphql_does(peer: socket.socket) -> None:
    peer.sendall(b"POST /graphql?x HTTP/1.1\r\nContent-Length: many\r\n\r\n")
    received = refusal(answer(peer))
    assert received["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}


def test_a_broken_chunk_is_refused(peer: socket.socket) -> None:
    peer.sendall(b"POST /fast HTTP/1.1\r\nHost: cairn.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n")
    assert refusal(answer(peer))["status"] == 400


def test_a_refusal_never_lands_in_the_middle_of_an_answer(peer: socket.socket) -> None:
    peer.sendall(b"POST /early HTTP/1.1\r\nHost: cairn.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
    time.sleep(0.1)
    peer.sendall(b"zz\r\n")
    assert answer(peer).count(b"HTTP/1.1") == 1


def test_a_head_over_the_limit_that_comes_at_once_is_told_so(peer: socket.socket) -> None:
    peer.sendall(b"GET /fast HTTP/1.1\r\nX: " + b"a" * (MAXIMUM_HEAD_BYTES + 1) + b"\r\n\r\n")
    assert refusal(answer(peer))["status"] == 431


@pytest.mark.parametrize(
    "large",
    [
        pytest.param(b"GET /" + b"a" * MAXIMUM_HEAD_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n", id="path"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * (MAXIMUM_HEAD_BYTES // 6) + b"\r\n", id="lines"),
    ],
)
def test_all_of_a_head_counts(peer: socket.socket, large: bytes) -> None:
    peer.sendall(large)
    assert refusal(answer(peer))["status"] == 431


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nHost: b\r\n"])
def test_a_request_has_one_host(peer: socket.socket, hosts: bytes) -> None:
    peer.sendall(b"GET /fast HTTP/1.1\r\n" + hosts + b"\r\n")
    assert refusal(answer(peer))["status"] == 400


def test_an_old_request_needs_no_host(peer: socket.socket) -> None:
    peer.sendall(b"GET /fast HTTP/1.0\r\n\r\n")
    assert answer(peer).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("pause_seconds", [0, 0.1])
def test_trailers_are_no_headers(peer: socket.socket, pause_seconds: float) -> None:
    peer.sendall(b"POST /headers HTTP/1.1\r\nHost: cairn.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
    time.sleep(pause_seconds)
    peer.sendall(b"0\r\nAuthorization: Bearer a\r\nHost: other\r\n\r\n")
    assert b"\r\nnames: host,transfer-encoding\r\n" in one_answer(peer)


def test_a_head_over_the_limit_that_began_behind_another_request_is_told_so(peer: socket.socket) -> None:
    peer.sendall(REQUEST + b"GET / HTTP/1.1\r\nx-filling: " + b"a" * (MAXIMUM_HEAD_BYTES + 1))
    time.sleep(0.1)
    peer.sendall(b"\r\n\r\n")
    received = answer(peer)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 431 " in received


def test_requests_without_end_before_the_first_answer_end_the_connection(peer: socket.socket) -> None:
    peer.sendall(b"GET /fast HTTP/1.1\r\nHost: cairn\r\n\r\n" * 3000)
    assert answer(peer).count(b"HTTP/1.1 200 OK") < 100
