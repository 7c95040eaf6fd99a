"""Answers through a real server: heads of every kind, and nothing left for the collector."""

import gc
import socket
from collections.abc import Iterator

import pytest
from starlette.types import Receive, Scope, Send

from tests.api.served import served

HEADS: dict[str, list[tuple[bytes, bytes]]] = {
    "/plain": [(b"content-length", b"2"), (b"x-thing", b"one: two")],
    "/capital": [(b"Content-Length", b"2"), (b"X-Thing", b"\xc3\xa4")],
    "/mixed": [(b"content-length", b"2"), (b"X-Thing", b"\xc3\xa4")],
    "/spaced": [(b"content-length", b"2"), (b"x thing", b"one")],
    "/closing": [(b"content-length", b"2"), (b"connection", b"close")],
    "/unknown": [(b"x-thing", b"of no length")],
    "/split": [(b"content-length", b"2"), (b"x-thing", b"one\r\nx-other: two")],
    "/broken": [(b"content-length", b"two")],
}


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers `ok` with one of these heads."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADS[scope["path"]]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(app) as own:
        yield own


@pytest.fixture
def peer(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as own:
        yield own


def ask(peer: socket.socket, path: str, fields: str = "", method: str = "GET") -> None:
    peer.sendall(f"{method} {path} HTTP/1.1\r\nHost: cairn.test\r\n{fields}\r\n".encode())


def answered(peer: socket.socket, end: bytes = b"ok") -> bytes:
    received = b""
    while not received.endswith(end):
        piece = peer.recv(65536)
        assert piece, received
        received += piece
    return received


def all_of(peer: socket.socket) -> bytes:
    received = b""
    while piece := peer.recv(65536):
        received += piece
    return received


def test_a_plain_head_goes_out_as_it_is_with_the_servers_own_fields(peer: socket.socket) -> None:
    for _ in range(2):
        ask(peer, "/plain")
        head, _, body = answered(peer).partition(b"\r\n\r\n")
        status, *fields = head.split(b"\r\n")
        assert (status, body) == (b"HTTP/1.1 200 OK", b"ok")
        assert fields[-2:] == [b"content-length: 2", b"x-thing: one: two"]
        assert [field[:6] for field in fields[:-2]] == [b"date: ", b"server"]


@pytest.mark.parametrize("path", ["/capital", "/mixed"])
def test_names_of_fields_are_sent_in_small_letters_and_values_as_they_are(peer: socket.socket, path: str) -> None:
    ask(peer, path)
    assert b"content-length: 2\r\nx-thing: \xc3\xa4\r\n" in answered(peer)


def test_an_answer_to_head_has_the_length_and_no_body(peer: socket.socket) -> None:
    ask(peer, "/plain", method="HEAD")
    assert b"content-length: 2\r\n" in answered(peer, b"\r\n\r\n")
    ask(peer, "/plain")
    assert answered(peer).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize(("path", "fields"), [("/closing", ""), ("/plain", "Connection: close\r\n")])
def test_a_connection_is_closed_behind_an_answer_that_says_so(peer: socket.socket, path: str, fields: str) -> None:
    ask(peer, path, fields)
    received = all_of(peer)
    assert received.count(b"connection: close\r\n") == 1
    assert received.endswith(b"\r\n\r\nok")


def test_a_body_of_unknown_length_comes_in_chunks(peer: socket.socket) -> None:
    ask(peer, "/unknown")
    assert answered(peer, b"0\r\n\r\n").endswith(b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", ["/split", "/spaced", "/broken"])
def test_a_head_that_is_none_is_a_fault(peer: socket.socket, path: str) -> None:
    ask(peer, path)
    received = peer.recv(65536)
    assert b"x-other" not in received
    assert not received.startswith(b"HTTP/1.1 200")


def test_requests_one_behind_the_other_are_answered_in_order(peer: socket.socket) -> None:
    ask(peer, "/capital", "Content-Length: 3\r\n\r\nabc" + "GET /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n")
    received = b""
    while received.count(b"\r\n\r\nok") < 2:
        received += peer.recv(65536)
    assert received.index(b"\xc3\xa4") < received.index(b"one: two")


def test_nothing_of_a_request_is_left_for_the_collector(peer: socket.socket) -> None:
    ask(peer, "/plain")
    answered(peer)
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            ask(peer, "/plain")
            answered(peer)
        assert gc.collect() < 50
    finally:
        gc.enable()
