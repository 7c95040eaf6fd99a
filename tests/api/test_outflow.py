"""Bytes onto the wire: whole answers, clients that leave, pieces that end early, and the count in each case.

First with a server and client made up here, then through real sockets.
"""

import asyncio
import re
import socket
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from starlette.types import Message

from api.outflow import Outflow
from storage.store import StoreError
from tests.asking import Account, sign_up, uploaded
from tests.live import Live
from tests.machine import wait_for

SIZE = 48 * 1024 * 1024
CONTENT = b"0123456789abcde\n" * (SIZE // 16)
PATIENCE_SECONDS = 10
HEAD: Message = {"type": "http.response.start", "status": 200, "headers": []}


class Client:
    """The server's side of a client that may leave after so many messages."""

    def __init__(self, leaves_after: int | None = None) -> None:
        self.messages: list[Message] = []
        self.left = asyncio.Event()
        self._leaves_after = leaves_after
        self._asked = 0

    async def receive(self) -> Message:
        self._asked += 1
        if self._asked == 1:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.left.is_set():
            return
        self.messages.append(message)
        await asyncio.sleep(0)
        if len(self.messages) == self._leaves_after:
            self.left.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def is_complete(self) -> bool:
        last = self.messages[-1]
        return last["type"] == "http.response.body" and not last.get("more_body", False)


class Pieces:
    """Pieces that know whether they were closed."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.is_closed = False

    async def all(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                yield piece
        finally:
            self.is_closed = True


async def flow(client: Client, pieces: Pieces, length: int) -> Outflow:
    outflow = Outflow(client.receive, client.send)
    rest = pieces.all()
    await outflow.run(HEAD, await anext(rest, b""), rest, length)
    return outflow


async def test_what_fits_one_piece_is_one_message() -> None:
    client, pieces = Client(), Pieces(b"abc")

    assert (await flow(client, pieces, 3)).sent == 3
    assert [message["type"] for message in client.messages] == ["http.response.start", "http.response.body"]
    assert client.body == b"abc"
    assert client.is_complete
    assert pieces.is_closed


async def test_nothing_is_sent_as_one_empty_message() -> None:
    client = Client()

    assert (await flow(client, Pieces(), 0)).sent == 0
    assert (len(client.messages), client.is_complete) == (2, True)


async def test_many_pieces_go_out_in_order() -> None:
    client, pieces = Client(), Pieces(b"ab", b"cd", b"e")

    assert (await flow(client, pieces, 5)).sent == 5
    assert (client.body, client.is_complete, pieces.is_closed) == (b"abcde", True, True)


async def test_a_client_that_leaves_is_not_sent_the_rest_and_only_what_it_took_counts() -> None:
    client, pieces = Client(leaves_after=4), Pieces(b"ab", b"cd", b"ef", b"gh")

    outflow = await flow(client, pieces, 8)

    # It left with the third piece: that it took the first is sure, since the second was waited for.
    assert outflow.sent == 2
    assert pieces.is_closed
    assert not client.is_complete


async def test_a_client_that_leaves_at_the_very_end_has_not_taken_everything() -> None:
    client, pieces = Client(leaves_after=4), Pieces(b"ab", b"cd")

    assert (await flow(client, pieces, 4)).sent == 2


@pytest.mark.parametrize("pieces", [(), (b"ab",), (b"ab", b"cd")])
async def test_pieces_that_end_early_never_look_complete(pieces: tuple[bytes, ...]) -> None:
    client, source = Client(), Pieces(*pieces)

    with pytest.raises(StoreError):
        await flow(client, source, 5)

    assert not client.is_complete
    assert source.is_closed


async def test_a_failing_connection_closes_the_pieces_and_counts_nothing_more() -> None:
    pieces = Pieces(b"ab", b"cd")
    rest = pieces.all()

    async def fail(_message: Message) -> None:
        raise OSError("gone")

    outflow = Outflow(Client().receive, fail)
    with pytest.raises(OSError, match="gone"):
        await outflow.run(HEAD, await anext(rest), rest, 4)

    assert (outflow.sent, pieces.is_closed) == (0, True)


@dataclass(frozen=True, slots=True)
class Download:
    """A large file in a live service."""

    live: Live
    owner: Account
    path: str

    def begin(self, *fields: str) -> socket.socket:
        """A connection with a small buffer on which the download has been asked for."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(("127.0.0.1", self.live.port))
        head = [f"GET {self.path} HTTP/1.1", "Host: x", f"Authorization: Bearer {self.owner.token}", *fields, "", ""]
        connection.sendall("\r\n".join(head).encode())
        return connection

    @property
    def blob(self) -> Path:
        [found] = [path for path in self.live.data_folder.glob("blobs/*/*") if path.stat().st_size == SIZE]
        return found

    def recorded(self, database: Path) -> list[int]:
        with sqlite3.connect(database) as connection:
            found = connection.execute("SELECT size FROM events WHERE kind = 'file.downloaded' ORDER BY id")
            return [size for (size,) in found]


@pytest.fixture
async def download(live: Live) -> Download:
    async with AsyncClient(base_url=live.url, timeout=60) as client:
        owner = await sign_up(client)
        file = await uploaded(client, owner, "numbers.txt", CONTENT)
    return Download(live, owner, f"/files/{file['id']}/download")


def read_all(connection: socket.socket) -> bytes:
    received = bytearray()
    with suppress(ConnectionResetError):
        while data := connection.recv(1 << 20):
            received += data
    return bytes(received)


async def test_large_files_arrive_whole_and_are_recorded(download: Download, tmp_path: Path) -> None:
    with download.begin("Connection: close") as connection:
        head, _, body = read_all(connection).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 ")
    assert sha256(body).digest() == sha256(CONTENT).digest()
    assert wait_for(lambda: download.recorded(tmp_path / "cairn.sqlite") == [SIZE], PATIENCE_SECONDS)


async def test_a_client_that_leaves_is_recorded_with_what_it_took(download: Download, tmp_path: Path) -> None:
    with download.begin() as connection:
        taken = 0
        while taken < 10 * 1024 * 1024:
            taken += len(connection.recv(1 << 20))

    assert wait_for(lambda: len(download.recorded(tmp_path / "cairn.sqlite")) == 1, PATIENCE_SECONDS)
    [sent] = download.recorded(tmp_path / "cairn.sqlite")
    assert 8 * 1024 * 1024 < sent < SIZE // 2


async def test_bytes_lost_on_the_way_cut_the_connection(download: Download, tmp_path: Path) -> None:
    blob = download.blob
    with download.begin() as connection:
        beginning = connection.recv(1 << 16)
        blob.chmod(0o600)
        with blob.open("r+b") as file:
            file.truncate(SIZE // 2)
        received = beginning + read_all(connection)

    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length
    assert int(length[1]) == SIZE
    assert len(body) < SIZE
    assert wait_for(lambda: len(download.recorded(tmp_path / "cairn.sqlite")) == 1, PATIENCE_SECONDS)
    assert download.live.process.poll() is None
    assert "bytes early" in download.live.log.read_text()


async def test_a_signed_url_never_reaches_the_log(download: Download) -> None:
    secret = "s3cr3t" * 7
    with download.begin("Connection: close") as connection:
        connection.recv(1)
    async with AsyncClient(base_url=download.live.url, timeout=PATIENCE_SECONDS) as client:
        await client.get(f"{download.path}?expires=1&signature={secret}")

    log = download.live.log.read_text()
    assert download.path in log
    assert secret not in log
