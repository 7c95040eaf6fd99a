"""Files straight to the socket, through a real server: order, slow readers, ends of every kind."""

import asyncio
import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deadlines import Deadlines
from api.zero_copy import ClientLeft, FileTruncated, copy_bytes, file_message, send_file
from tests.api.served import served
from tests.machine import wait_for

MIB = 1024**2
SIZE = 24 * MIB
STALL_SECONDS = 0.3
FILLING = bytes(range(256)) * (MIB // 256)


class FileApp:
    """/file sends `count` bytes of the file in messages of 8 MiB; anything else a megabyte the ordinary way."""

    def __init__(self, path: Path, count: int = SIZE) -> None:
        self._path = path
        self._count = count
        self.sent = 0
        self.ended: list[BaseException | None] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        length = self._count if scope["path"] == "/file" else MIB
        headers = [(b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["path"] != "/file":
            await send({"type": "http.response.body", "body": FILLING})
            return
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            for offset in range(0, self._count, 8 * MIB):
                await send(file_message(descriptor, offset, min(8 * MIB, self._count - offset), self._count_sent))
            await send({"type": "http.response.body", "body": b""})
            self.ended.append(None)
        except BaseException as fault:
            self.ended.append(fault)
            if not isinstance(fault, ClientLeft):
                raise
        finally:
            os.close(descriptor)

    def _count_sent(self, sent: int) -> None:
        self.sent += sent


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(MIB) * (SIZE // MIB))
    return path


@contextmanager
def asked(app: ASGIApp, *paths: str) -> Iterator[socket.socket]:
    """A connection on which these paths have been asked for, one behind the other."""
    with served(app) as port, socket.create_connection(("127.0.0.1", port), 10) as peer:
        last = len(paths) - 1
        for number, path in enumerate(paths):
            closing = "Connection: close\r\n" if number == last else ""
            peer.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n{closing}\r\n".encode())
        yield peer


def all_of(peer: socket.socket) -> bytes:
    received = bytearray()
    with suppress(ConnectionResetError):
        while piece := peer.recv(MIB):
            received += piece
    return bytes(received)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def bodies(received: bytes, *lengths: int) -> list[bytes]:
    found = []
    for length in lengths:
        head, _, received = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        found.append(received[:length])
        received = received[length:]
    assert received == b""
    return found


def test_a_file_arrives_whole_and_is_counted(big: Path) -> None:
    app = FileApp(big)
    with asked(app, "/file") as peer:
        [body] = bodies(all_of(peer), SIZE)
    assert sha256(body).digest() == sha256(big.read_bytes()).digest()
    assert (app.sent, app.ended) == (SIZE, [None])


def test_a_file_follows_what_a_slow_reader_has_not_taken_yet(big: Path) -> None:
    with asked(FileApp(big, MIB), "/other", "/other", "/other", "/file", "/other", "/file") as peer:
        time.sleep(STALL_SECONDS)
        found = bodies(all_of(peer), MIB, MIB, MIB, MIB, MIB, MIB)
    file = big.read_bytes()[:MIB]
    assert found == [FILLING, FILLING, FILLING, file, FILLING, file]


def test_a_reader_that_pauses_gets_the_whole_file(big: Path) -> None:
    app = FileApp(big)
    with asked(app, "/file") as peer:
        received = bytearray(peer.recv(MIB))
        time.sleep(STALL_SECONDS)
        [body] = bodies(bytes(received) + all_of(peer), SIZE)
    assert body == big.read_bytes()


def test_a_reader_that_takes_nothing_is_cut_off(big: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.deadlines.SOCKET_BYTES", 0)
    app = FileApp(big)
    with asked(Deadlines(app, STALL_SECONDS), "/file") as peer:
        assert wait_for(lambda: bool(app.ended), 10 * STALL_SECONDS)
        assert len(all_of(peer)) < SIZE
    assert 0 < app.sent < SIZE


def test_a_client_that_leaves_ends_it(big: Path) -> None:
    app = FileApp(big)
    with asked(app, "/file") as peer:
        taken = len(peer.recv(MIB))
        peer.close()
        assert wait_for(lambda: bool(app.ended), 10)
    assert isinstance(app.ended[0], ClientLeft)
    assert taken <= app.sent < SIZE


def test_a_file_that_is_too_short_cuts_the_connection(big: Path) -> None:
    app = FileApp(big, SIZE + 1)
    with asked(app, "/file") as peer:
        received = all_of(peer)
    assert isinstance(app.ended[0], FileTruncated)
    assert app.sent == SIZE
    assert len(received.partition(b"\r\n\r\n")[2]) == SIZE


def test_where_the_kernel_cannot_the_bytes_are_copied_here(big: Path) -> None:
    ours, theirs = socket.socketpair()
    file = os.open(big, os.O_RDONLY)
    with ours, theirs:
        sent = copy_bytes(ours.fileno(), file, 7, 100)
        assert theirs.recv(200) == big.read_bytes()[7:107]
        assert sent == 100
        assert copy_bytes(ours.fileno(), file, SIZE, 100) == 0
    os.close(file)


def test_a_descriptor_that_cannot_be_sent_is_copied_or_refused(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    folder = os.open(tmp_path, os.O_RDONLY)
    with ours, theirs, pytest.raises(OSError, match="directory") as caught:
        send_file(ours.fileno(), folder, 0, 100)
    os.close(folder)
    assert caught.value.errno == errno.EISDIR
    with pytest.raises(OSError, match="descriptor"):
        send_file(-1, -1, 0, 100)


def test_a_request_that_is_cancelled_leaves_nothing_open(big: Path) -> None:
    app = FileApp(big)

    async def hurried(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(STALL_SECONDS):
                await app(scope, receive, send)

    before = open_descriptors()
    with asked(hurried, "/file") as peer:
        assert wait_for(lambda: bool(app.ended), 10)
        assert len(all_of(peer)) < SIZE
    assert wait_for(lambda: open_descriptors() <= before, 5)
