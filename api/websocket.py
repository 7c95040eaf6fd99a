"""WebSockets at /graphql: the protocol graphql-transport-ws, read strictly.

What breaks the protocol closes the connection with its code; what is wrong with one operation ends that one. A
connection ends with the credential that it was opened by.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from api.connections import abort
from api.credentials import Credential, Standing, address_of, credential_of
from api.guards import Guard
from api.operations import Asker, Operations
from api.socket_messages import (
    Close,
    Kind,
    SocketMessage,
    acknowledged,
    broken,
    forbidden,
    pong,
    read_message,
    too_many,
    too_slow_to_begin,
    try_later,
    unauthorized,
    unknown_subprotocol,
)
from api.socket_operations import SocketGone, SocketOperations
from api.streams import Streams
from domain.errors import BadCredential, Refusal
from domain.outages import outage_of
from domain.stream_errors import TooManyStreams
from schema.answers import Report

SUBPROTOCOL: Final = "graphql-transport-ws"
INIT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """How many operations may be under way on a connection, and how long the client may take.

    `stall_seconds` are for a message to be taken, `init_seconds` for `connection_init` to come.
    """

    operations: int
    stall_seconds: float
    init_seconds: float = INIT_SECONDS


@dataclass(frozen=True, slots=True)
class GraphQLSockets:
    """An ASGI application for the WebSockets of one path.

    `identify` finds out whose credential it is that came by a connection (raises BadCredential), `guard` watches over
    whoever that is, and `streams` counts their connections.
    """

    operations: Operations
    identify: Callable[[Credential | None, Scope], Awaitable[Standing]]
    guard: Callable[[Standing], Guard]
    streams: Streams
    report: Report
    limits: SocketLimits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await receive()
        connection = _Connection(self, scope, receive, send)
        try:
            await self._serve(connection, scope["subprotocols"])
        except SocketGone:
            return
        finally:
            await connection.end()

    async def _serve(self, connection: "_Connection", offered: list[str]) -> None:
        # A client is told why only on a connection that is open, with a protocol that it offered.
        is_known = SUBPROTOCOL in offered
        await connection.accept(SUBPROTOCOL if is_known else next(iter(offered), None))
        if not is_known:
            await connection.close(unknown_subprotocol())
            return
        try:
            await connection.run()
        except Close as close:
            await connection.close(close)
        except SocketGone:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, the client is told that it is ours
            self.report(fault)
            outage = outage_of(fault)
            await connection.close(broken() if outage is None else try_later(outage.message))


class _Connection:
    def __init__(self, sockets: GraphQLSockets, scope: Scope, receive: Receive, send: Send) -> None:
        self._sockets = sockets
        self._scope = scope
        self._receive = receive
        self._send = send
        self._watching: asyncio.Task[Refusal] | None = None
        self._operations: SocketOperations | None = None

    async def accept(self, subprotocol: str | None) -> None:
        """Let the connection open."""
        await self._write({"type": "websocket.accept", "subprotocol": subprotocol})

    async def run(self) -> None:
        """Serve until the client goes. Raises Close and SocketGone."""
        try:
            async with asyncio.timeout(self._sockets.limits.init_seconds):
                begun = await self._wait_for_init()
        except TimeoutError:
            raise too_slow_to_begin() from None
        if begun is None:
            return
        standing = await self._identify(begun)
        try:
            with self._sockets.streams.open(standing.viewer, address_of(self._scope)):
                await self._serve(standing, self._sockets.guard(standing))
        except TooManyStreams as refusal:
            raise too_many(refusal.message) from None

    async def _serve(self, standing: Standing, guard: Guard) -> None:
        self._operations = operations = SocketOperations(
            self._sockets.operations, Asker(self._scope, standing), guard, self._tell, self._sockets.report
        )
        await self._tell(acknowledged())
        self._watching = watching = asyncio.create_task(guard.until_over())
        try:
            async with asyncio.timeout(None) as reading:
                # No task of its own reads: there are thousands of connections, and most have nothing to say.
                watching.add_done_callback(stop := lambda _: reading.reschedule(0))
                await self._read(operations)
        except TimeoutError:
            raise forbidden(watching.result().message) from None
        finally:
            watching.remove_done_callback(stop)

    async def close(self, close: Close) -> None:
        """End the connection for a reason."""
        await self._write({"type": "websocket.close", "code": close.code, "reason": close.reason})

    async def end(self) -> None:
        """End everything that goes on."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        if self._operations is not None:
            await self._operations.end()

    async def _wait_for_init(self) -> SocketMessage | None:
        """The message that begins; None when the client goes before it."""
        while (message := await self._next()) is not None and message.kind is not Kind.INIT:
            if message.kind is Kind.SUBSCRIBE:
                raise unauthorized()
            await self._answer(message)
        return message

    async def _identify(self, message: SocketMessage) -> Standing:
        sockets = self._sockets
        try:
            return await sockets.identify(_credential_in(message), self._scope)
        except BadCredential as refusal:
            raise forbidden(refusal.message) from None

    async def _read(self, operations: SocketOperations) -> None:
        while (message := await self._next()) is not None:
            match message.kind:
                case Kind.INIT:
                    raise too_many()
                case Kind.SUBSCRIBE:
                    await operations.begin(message, self._sockets.limits.operations)
                case Kind.COMPLETE:
                    operations.stop(message.id)
                case _:
                    await self._answer(message)
            del message  # a large one would stay for as long as no other comes

    async def _answer(self, message: SocketMessage) -> None:
        if message.kind is Kind.PING:
            await self._tell(pong(message.payload))

    async def _next(self) -> SocketMessage | None:
        """The next message; None when there are no more. Raises Close."""
        received = await self._receive()
        return None if received["type"] == "websocket.disconnect" else read_message(received.get("text"))

    async def _tell(self, text: str) -> None:
        await self._write({"type": "websocket.send", "text": text})

    async def _write(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._sockets.limits.stall_seconds):
                await self._send(message)
        except TimeoutError:
            # Here, since whoever else waits for this connection to end does so by reading from it.
            await abort(self._scope)
            raise SocketGone from None
        except OSError:
            raise SocketGone from None


def _credential_in(message: SocketMessage) -> Credential | None:
    """The credential in the payload of `connection_init`, which names it as a head would. Raises BadCredential."""
    values = {name: value for name, value in message.payload.items() if name.lower() in {"authorization", "x-api-key"}}
    if not all(isinstance(value, str) and value.isascii() for value in values.values()):
        raise BadCredential
    return credential_of((name.lower().encode(), value.encode()) for name, value in values.items())
