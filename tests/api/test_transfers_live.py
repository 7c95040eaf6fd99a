"""Downloads through real sockets: answers that break, clients that leave, and what history says of them."""

import re
import socket
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from tests.asking import Account, sign_up, uploaded
from tests.live import Live
from tests.machine import wait_for

SIZE = 48 * 1024 * 1024
CONTENT = b"0123456789abcde\n" * (SIZE // 16)
PATIENCE_SECONDS = 10


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
        [found] = [path for path in self.live.data_folder.rglob("*") if path.is_file() and path.stat().st_size == SIZE]
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
    async with AsyncClient(base_url=download.live.url) as client:
        await client.get(f"{download.path}?expires=1&signature={secret}")

    log = download.live.log.read_text()
    assert download.path in log
    assert secret not in log
