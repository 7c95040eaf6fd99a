import asyncio
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from api import sockets
from api.server import ServerLimits, config_of
from tests.api.frames import CLOSE, TEXT, RawSocket, dialled, frame, handshake
from tests.machine import comes_true


class Toy:
    """An application that accepts, says a lot, and then ends or waits to be told that the client has gone."""

    def __init__(self, *, sizes: list[int], says_goodbye: bool, before: float = 0) -> None:
        self.sizes = sizes
        self.says_goodbye = says_goodbye
        self.before = before
        self.heard: list[object] = []
        self.has_ended = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await asyncio.sleep(self.before)
        await send({"type": "websocket.accept", "subprotocol": None})
        for size in self.sizes:
            await send({"type": "websocket.send", "text": "a" * size})
        if self.says_goodbye:
            await send({"type": "websocket.close", "code": 4000, "reason": ""})
        while (message := await receive())["type"] != "websocket.disconnect":
            self.heard.append(message)
        self.heard.append(message["code"])
        self.has_ended.set()


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    with socket.socket() as own, ThreadPoolExecutor(1) as threads:
        own.bind(("127.0.0.1", 0))
        config = config_of(app, ServerLimits(5, 1 << 20, 1), threads, asyncio.Event())
        config.lifespan = "off"
        server = uvicorn.Server(config)
        running = asyncio.create_task(server._serve([own]))
        assert await comes_true(lambda: server.started)
        try:
            yield server, own.getsockname()[1]
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def talking(port: int, receive_bytes: int | None = None) -> AsyncIterator[RawSocket]:
    async with dialled(port, receive_bytes) as raw:
        await raw.send(handshake({"Sec-WebSocket-Protocol": None}))
        yield raw


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "END_SECONDS", 0.3)


async def test_who_takes_it_has_time_to_say_goodbye() -> None:
    toy = Toy(sizes=[10], says_goodbye=True)
    async with serving(toy) as (server, port), talking(port) as raw:
        assert await raw.status() == 101
        assert await raw.receive() == (TEXT, b"a" * 10)
        assert (await raw.ended())[0] == 4000
        assert server.server_state.connections
        await raw.send(frame(CLOSE, b"\x0f\xa0"))
        assert await raw.is_over()
        assert await comes_true(lambda: not server.server_state.connections)


async def test_who_says_goodbye_and_takes_nothing_is_dropped() -> None:
    toy = Toy(sizes=[8 << 20], says_goodbye=False)
    async with serving(toy) as (server, port), talking(port, 4096) as raw:
        await asyncio.sleep(0.1)
        await raw.send(frame(CLOSE, b"\x03\xe8"))
        assert await comes_true(lambda: not server.server_state.connections)
        assert toy.heard == [1000]


async def test_what_comes_before_the_acceptance_does_no_harm() -> None:
    toy = Toy(sizes=[], says_goodbye=False, before=0.3)
    async with serving(toy) as (_, port), talking(port) as raw:
        await asyncio.sleep(0.1)
        await raw.send(frame(TEXT, b"{}"), frame(9, b"a"))
        assert await raw.reader.readuntil(b"\r\n\r\n")
        await raw.send(frame(CLOSE, b"\x03\xe8"))
        assert (await raw.ended())[0] == 1000
        async with asyncio.timeout(10):
            await toy.has_ended.wait()
        assert toy.heard == [{"type": "websocket.receive", "text": "{}"}, 1000]


async def test_a_client_that_answers_no_ping_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(sizes=[8 << 20], says_goodbye=False)
    async with serving(toy) as (server, port):
        monkeypatch.setattr(server.config, "ws_ping_interval", 0.1)
        monkeypatch.setattr(server.config, "ws_ping_timeout", 0.1)
        async with talking(port, 4096):
            assert await comes_true(lambda: bool(server.server_state.connections))
            assert await comes_true(lambda: not server.server_state.connections)
            await toy.has_ended.wait()
