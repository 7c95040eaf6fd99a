"""Deadlines without progress, with clients that stall, dribble and take nothing."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

import orjson
import psutil
import pytest
from starlette.types import Message, Receive, Scope, Send

from api.deadlines import PROGRESS_BYTES, Deadlines, ReaderStalled
from api.envelope import SenderStalled
from tests.api.served import served
from tests.machine import PATIENCE_SECONDS, wait_for

STALL_SECONDS = 0.3
HTTP: Scope = {"type": "http"}
OK: Message = {"type": "http.response.start", "status": 200, "headers": []}


async def reads(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send(OK)
    await send({"type": "http.response.body", "body": str(size).encode()})


def sender_of(pieces: Sequence[bytes], pause: float, *, ends: bool = True) -> Receive:
    """A client that sends a piece after each pause, and then nothing for ever."""
    left = list(pieces)

    async def receive() -> Message:
        await asyncio.sleep(pause if left else 60)
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": not ends or bool(left)}

    return receive


async def sent_by(app: Callable[[Scope, Receive, Send], Awaitable[None]], receive: Receive) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await Deadlines(app, STALL_SECONDS)(HTTP, receive, send)
    return sent


async def test_a_steady_sender_is_read_however_long_it_takes() -> None:
    sent = await sent_by(reads, sender_of([bytes(PROGRESS_BYTES)] * 10, STALL_SECONDS / 5))
    assert sent[1]["body"] == str(10 * PROGRESS_BYTES).encode()


async def test_a_silent_sender_is_refused_with_a_closing_answer() -> None:
    began = time.monotonic()
    start, body = await sent_by(reads, sender_of([b"x" * 10], 0, ends=False))
    assert STALL_SECONDS <= time.monotonic() - began < STALL_SECONDS + 1
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert orjson.loads(body["body"])["code"] == "REQUEST_TIMEOUT"


async def test_a_byte_now_and_then_is_no_progress() -> None:
    began = time.monotonic()
    start, _ = await sent_by(reads, sender_of([b"x"] * 1000, STALL_SECONDS / 5))
    assert start["status"] == 408
    assert time.monotonic() - began < 3 * STALL_SECONDS


async def test_a_small_body_needs_no_more_progress_than_its_end() -> None:
    sent = await sent_by(reads, sender_of([b"x"] * 3, STALL_SECONDS / 5))
    assert sent[1]["body"] == b"3"


async def test_the_services_own_work_does_not_count() -> None:
    async def works(scope: Scope, receive: Receive, send: Send) -> None:
        async def slowly() -> Message:
            await asyncio.sleep(STALL_SECONDS)
            return await receive()

        await reads(scope, slowly, send)

    sent = await sent_by(works, sender_of([b"x"] * 3, 0))
    assert sent[1]["body"] == b"3"


async def test_after_the_body_one_may_wait_for_the_end_of_the_connection() -> None:
    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 2 * STALL_SECONDS)
        await reads(scope, sender_of([b""], 0), send)

    assert (await sent_by(waits, sender_of([b"x"], 0)))[0]["status"] == 200


async def test_whoever_reads_may_answer_in_its_own_form() -> None:
    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(SenderStalled) as caught:
            await reads(scope, receive, send)
        await send({**OK, "status": caught.value.status, "code": caught.value.code})

    assert await sent_by(answers, sender_of([], 0)) == [{**OK, "status": 408, "code": "REQUEST_TIMEOUT"}]


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    async def begins(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await reads(scope, receive, send)

    assert await sent_by(begins, sender_of([], 0)) == [OK]


async def test_a_reader_that_takes_nothing_is_given_up() -> None:
    raised = []

    async def sends(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        except OSError as error:
            raised.append(type(error))
            raise

    async def never(_message: Message) -> None:
        await asyncio.sleep(60)

    aborted = []
    scope = {**HTTP, "extensions": {"cairn.connection": {"abort": lambda: aborted.append(1)}}}
    await Deadlines(sends, STALL_SECONDS)(scope, sender_of([], 0), never)
    assert (raised, aborted) == ([ReaderStalled], [1])
    await Deadlines(sends, STALL_SECONDS)(HTTP, sender_of([], 0), never)


async def test_connections_other_than_http_pass_unchanged() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def send(_message: Message) -> None:
        pass

    websocket: Scope = {"type": "websocket"}
    receive = sender_of([], 0)
    await Deadlines(app, STALL_SECONDS)(websocket, receive, send)
    assert seen == [(websocket, receive, send)]


def test_over_a_socket_a_stalled_sender_hears_why() -> None:
    with served(Deadlines(reads, STALL_SECONDS)) as port, socket.create_connection(("127.0.0.1", port), 10) as sender:
        sender.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
        answer = b""
        while piece := sender.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 408")


def test_over_a_socket_a_stalled_reader_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    ended = []

    async def pours(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await send(OK)
            while True:
                await send({"type": "http.response.body", "body": bytes(1 << 10), "more_body": True})
        finally:
            ended.append(time.monotonic())

    with served(Deadlines(pours, STALL_SECONDS)) as port, socket.create_connection(("127.0.0.1", port), 10) as reader:
        reader.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wait_for(lambda: bool(ended), STALL_SECONDS * 10)
        # What is unsent does not keep the connection open until the reader takes it.
        assert wait_for(lambda: not _open_connections(port), PATIENCE_SECONDS)
        answer = b"".join(iter(lambda: reader.recv(1 << 20), b""))
        assert not answer.endswith(b"0\r\n\r\n")
    assert not caplog.records


def _open_connections(port: int) -> int:
    found = psutil.Process().net_connections("tcp4")
    return sum(connection.laddr.port == port and bool(connection.raddr) for connection in found)
