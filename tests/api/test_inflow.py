import hashlib
import json
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tests.api.served import served

SIZE = 24 << 20
BODY = random.Random(4).randbytes(SIZE)
DIGEST = hashlib.sha256(BODY).hexdigest()

ends: list[str] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what came; /early answers before it has read all."""
    digest, sizes = hashlib.sha256(), list[int]()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            ends.append(digest.hexdigest())
            return
        digest.update(message["body"])
        sizes.append(len(message["body"]))
        if not message["more_body"] or scope["path"] == "/early":
            break
    told = json.dumps({"digest": digest.hexdigest(), "messages": len(sizes), "largest": max(sizes)}).encode()
    head = [(b"content-length", b"%d" % len(told))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": told})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(app, 5) as own:
        yield own


@pytest.fixture
def peer(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as own:
        yield own


def told(peer: socket.socket) -> Any:
    """The body of the next answer, before which nothing comes."""
    received = b""
    while not received.endswith(b"}"):
        piece = peer.recv(65536)
        assert piece, received
        received += piece
    assert received.startswith(b"HTTP/1.1 200 OK")
    return json.loads(received.partition(b"\r\n\r\n")[2])


def head(path: str = "/", fields: str = f"Content-Length: {SIZE}") -> bytes:
    return f"PUT {path} HTTP/1.1\r\nHost: cairn.test\r\n{fields}\r\n\r\n".encode()


def test_a_body_whose_sender_is_ahead_comes_whole_and_in_few_pieces(peer: socket.socket) -> None:
    peer.sendall(head() + BODY)
    answer = told(peer)
    assert answer["digest"] == DIGEST
    assert answer["messages"] < SIZE >> 16
    assert answer["largest"] <= 2 << 20


def test_the_next_request_of_the_connection_is_read_as_ever(peer: socket.socket) -> None:
    for _ in range(2):
        peer.sendall(head() + BODY)
        assert told(peer)["digest"] == DIGEST
    peer.sendall(head(fields="Content-Length: 3") + b"abc")
    assert told(peer)["digest"] == hashlib.sha256(b"abc").hexdigest()


def test_a_request_right_behind_the_body_is_no_part_of_it(peer: socket.socket) -> None:
    peer.sendall(head() + BODY + head(fields="Content-Length: 3") + b"abc")
    received = b""
    while received.count(b"}") < 2:
        received += peer.recv(65536)
    assert DIGEST.encode() in received
    assert hashlib.sha256(b"abc").hexdigest().encode() in received


def test_a_body_in_chunks_of_all_sizes_comes_whole(peer: socket.socket) -> None:
    peer.sendall(head(fields="Transfer-Encoding: chunked"))
    sizes, at = random.Random(5), 0
    while at < SIZE:
        piece = BODY[at : at + sizes.choice((1, 1000, 100_000, 3_000_000))]
        peer.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        at += len(piece)
    peer.sendall(b"0\r\n\r\n")
    assert told(peer)["digest"] == DIGEST


def test_a_body_that_breaks_the_chunks_it_comes_in_is_refused(peer: socket.socket) -> None:
    peer.sendall(head(fields="Transfer-Encoding: chunked") + b"%x\r\n" % (1 << 20) + BODY[: 1 << 20] + b"no chunk\r\n")
    received = b""
    while piece := peer.recv(65536):
        received += piece
    assert received.startswith(b"HTTP/1.1 400 ")


def test_a_sender_that_leaves_in_the_middle_is_noticed_with_all_that_came(port: int) -> None:
    ends.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
        peer.sendall(head() + BODY[: SIZE // 2])
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""
    assert ends == [hashlib.sha256(BODY[: SIZE // 2]).hexdigest()]


def test_what_is_left_of_a_body_that_was_answered_early_is_passed_over(peer: socket.socket) -> None:
    peer.sendall(head("/early") + BODY)
    assert told(peer)["digest"] != DIGEST
    peer.sendall(head(fields="Content-Length: 3") + b"abc")
    assert told(peer)["digest"] == hashlib.sha256(b"abc").hexdigest()


def test_a_sender_that_asks_whether_to_go_on_is_told_so_once(peer: socket.socket) -> None:
    peer.sendall(head(fields=f"Content-Length: {SIZE}\r\nExpect: 100-continue"))
    assert peer.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    peer.sendall(BODY)
    assert told(peer)["digest"] == DIGEST
