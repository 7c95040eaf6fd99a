"""WebSockets by hand (RFC 6455): what a library would never send, and what comes back frame by frame."""

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
ANSWER_SECONDS = 30
DROPPED = 1006
"""What an end without a closing frame counts as."""

NO_CODE = struct.pack("!H", 1005)
"""What a closing frame without a code counts as."""


def handshake(headers: Mapping[str, str | None] | None = None, line: str = "GET /graphql HTTP/1.1") -> bytes:
    """The head that asks for a WebSocket; None leaves a header out."""
    given: dict[str, str | None] = {
        "Host": "cairn.test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "graphql-transport-ws",
    }
    lines = [f"{name}: {value}" for name, value in {**given, **(headers or {})}.items() if value is not None]
    return "\r\n".join([line, *lines, "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Shape:
    """What else there is to say of a frame; by default it is as it should be. `announced` is an untrue length."""

    is_last: bool = True
    is_masked: bool = True
    reserved: int = 0
    announced: int | None = None


def frame(opcode: int, payload: bytes = b"", shape: Shape | None = None) -> bytes:
    """A frame as clients send it."""
    shape = shape or Shape()
    first = (0x80 if shape.is_last else 0) | shape.reserved << 4 | opcode
    length = len(payload) if shape.announced is None else shape.announced
    masked = 0x80 if shape.is_masked else 0
    if length < 126:
        head = struct.pack("!BB", first, masked | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", first, masked | 126, length)
    else:
        head = struct.pack("!BBQ", first, masked | 127, length)
    # A mask of zeros changes nothing, which is as good a mask as any other to whoever reads it.
    return head + (bytes(4) if shape.is_masked else b"") + payload


def text(message: object) -> bytes:
    """A message of the protocol, or any text."""
    return frame(TEXT, (message if isinstance(message, str) else json.dumps(message)).encode())


def init(token: str | None = None) -> bytes:
    """The message that begins, by this access token."""
    payload = {"payload": {"authorization": f"Bearer {token}"}} if token else {}
    return text({"type": "connection_init", **payload})


def subscribe(operation_id: str, query: str, **variables: Any) -> bytes:
    """The message that begins an operation."""
    return text({"id": operation_id, "type": "subscribe", "payload": {"query": query, "variables": variables}})


class RawSocket:
    """A connection whose other end is the service."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heard: list[Any] = []

    async def send(self, *pieces: bytes) -> None:
        """Send these bytes, each piece on its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def status(self) -> int:
        """The status that a handshake is answered with."""
        async with asyncio.timeout(ANSWER_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split()[1])

    async def receive(self) -> tuple[int, bytes]:
        """The next frame: what it is, and what is in it."""
        async with asyncio.timeout(ANSWER_SECONDS):
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                [length] = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                [length] = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(length)

    async def message(self) -> Any:
        """The next message of the protocol. Raises EOFError after the last."""
        while True:
            opcode, payload = await self.receive()
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == CLOSE:
                raise EOFError(payload)

    async def ended(self) -> tuple[int, str]:
        """The code that the connection ends with, and why; what came before lies in `heard`."""
        try:
            while True:
                opcode, payload = await self.receive()
                if opcode == CLOSE:
                    return struct.unpack("!H", payload[:2] or NO_CODE)[0], payload[2:].decode()
                self.heard.append(json.loads(payload) if opcode == TEXT else (opcode, payload))
        except (EOFError, ConnectionError):
            return DROPPED, ""

    async def is_over(self) -> bool:
        """Whether nothing more comes, and the connection is gone."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def dialled(port: int, receive_bytes: int | None = None) -> AsyncIterator[RawSocket]:
    """A connection to the service, with so little room for what nobody reads if that is given."""
    own = socket.socket()
    if receive_bytes is not None:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    own.setblocking(False)  # noqa: FBT003 - the standard library's signature
    await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=own, limit=1 << 16 if receive_bytes is None else receive_bytes)
    try:
        yield RawSocket(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def opened(port: int, token: str | None = None) -> AsyncIterator[RawSocket]:
    """A WebSocket that is open, and acknowledged where a token is given (an empty one is nobody's)."""
    async with dialled(port) as raw:
        await raw.send(handshake())
        assert await raw.status() == 101
        if token is not None:
            await raw.send(init(token))
            assert await raw.message() == {"type": "connection_ack"}
        yield raw
