"""The process that listens: sockets, the server's loop and its graceful end."""

import asyncio
import errno
import gc
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import ServerState

from api.heads import MAXIMUM_HEAD_BYTES, limited_heads
from api.sockets import Sockets
from api.zero_copy import THREADS

CLEANUP_SECONDS = 5.0
GARBAGE_OBJECTS = 20_000
# An address family that the machine lacks: `localhost` may have an address that nothing can listen on.
UNUSABLE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """How long a head may take, how large a message of a WebSocket may be, and how long the end may take."""

    stall_seconds: float
    message_bytes: int
    shutdown_seconds: int


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets for every address that `host` stands for, all on one port. Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    faults: list[OSError] = []
    for family, _, _, _, address in dict.fromkeys(found):
        # With port 0 the first address finds a free one, and the others follow.
        taken = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_bound(family, (address[0], taken, *address[2:])))
        except OSError as fault:
            faults.append(fault)
    if faults and (not sockets or any(fault.errno not in UNUSABLE for fault in faults)):
        for own in sockets:
            own.close()
        raise faults[0]
    return sockets


def _bound(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    own = socket.socket(family, socket.SOCK_STREAM)
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        own.bind(address)
    except OSError:
        own.close()
        raise
    return own


def run(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    *,
    limits: ServerLimits,
    on_listening: Callable[[], None],
    until: int | None = None,
) -> bool:
    """Serve until SIGINT or SIGTERM, or the pipe `until` ends; then finish what is in flight, and have streams end.

    New connections are refused meanwhile. A second signal ends the wait. False when the application did not start.
    """
    draining = _Draining(app)
    file_threads = ThreadPoolExecutor(THREADS, "files")
    stopping = asyncio.Event()
    server = _Server(config_of(draining, limits, file_threads, stopping), on_listening, stopping, until)
    draining.tasks = server.server_state.tasks
    with file_threads, suppress(SystemExit):
        server.run(list(sockets))
    return server.started


def config_of(
    app: ASGIApp, limits: ServerLimits, file_threads: ThreadPoolExecutor, stopping: asyncio.Event
) -> uvicorn.Config:
    """How the server serves. `stopping` is set once it stops."""
    return uvicorn.Config(
        app,
        http=limited_heads(limits.stall_seconds, file_threads, stopping),
        ws=Sockets,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,  # messages are small, and memory per connection counts
        h11_max_incomplete_event_size=MAXIMUM_HEAD_BYTES,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=limits.shutdown_seconds,
        reset_contextvars=True,
    )


@asynccontextmanager
async def listening(app: ASGIApp, sockets: Sequence[socket.socket], head_seconds: float) -> AsyncIterator[None]:
    """Serve something small in the loop that runs, beside whatever it does, until the block ends."""
    with ThreadPoolExecutor(1, "files") as file_threads:
        protocol = limited_heads(head_seconds, file_threads)
        config = uvicorn.Config(app, http=protocol, log_config=None, access_log=False, server_header=False)
        config.load()
        state = ServerState()
        make = partial(protocol, config=config, server_state=state, app_state={})
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(make, sock=own) for own in sockets]
        try:
            yield
        finally:
            for server in servers:
                server.close()
            for connection in tuple(state.connections):
                connection.shutdown()
            if state.tasks:
                await asyncio.wait(state.tasks, timeout=CLEANUP_SECONDS)


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, on_listening: Callable[[], None], stopping: asyncio.Event, until: int | None
    ) -> None:
        super().__init__(config)
        self._on_listening = on_listening
        self._stopping = stopping
        self._until = until

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What the start left behind lives as long as the process: the collector need not walk it for every query. And
        # a query makes thousands of objects that all die with it, long before there are enough to look for circles.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_OBJECTS, *gc.get_threshold()[1:])
        if self._until is not None:
            asyncio.get_running_loop().add_reader(self._until, self._end, self._until)
        self._on_listening()

    def _end(self, until: int) -> None:
        asyncio.get_running_loop().remove_reader(until)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Not remembered, as the parent would to raise them again: a graceful stop is no death by signal.
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True


class _Draining:
    """Keeps the application's parts open until requests that were cancelled at the end have cleaned up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def patiently() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and self.tasks:
                await asyncio.wait(set(self.tasks), timeout=CLEANUP_SECONDS)
            return message

        await self._app(scope, patiently, send)
