"""The server's protocol for WebSockets: uvicorn's, with limits on what costs a client nothing, and ends that end."""

import asyncio
import logging
from typing import Any, Final, cast

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request
from websockets.protocol import Protocol

from api.connections import CONNECTION
from api.logs import SOCKETS_LOGGER
from domain.flags import Flag

MAXIMUM_FRAMES: Final = 1_000
"""Frames that one message comes in at most: empty ones would never reach the limit of its bytes."""

MAXIMUM_WAITING: Final = 2_000
"""Messages that wait for the application at most: one read may bring tens of thousands of the smallest."""

MAXIMUM_PONGS: Final = 100
"""Answers to pings that wait for a client which does not read them."""

END_SECONDS: Final = 10.0
"""How long what is unsent at the end of a connection may wait for a client that does not take it."""


class Sockets(WebSocketsSansIOProtocol):
    """uvicorn's protocol, with limits. What breaks them, or is no text, ends the connection with its code."""

    _frames = 0
    _pongs = 0
    _end: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - the server's business
        super().__init__(*arguments, **named)
        self.queue = cast("asyncio.Queue[ASGIReceiveEvent]", _Inbox())
        self.writable = cast("asyncio.Event", Flag())
        self.writable.set()
        self.logger = self.conn.logger = logging.getLogger(SOCKETS_LOGGER)
        self.conn.debug = self.logger.isEnabledFor(logging.DEBUG)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and see to it that what ends the connection does so even where nobody takes what is unsent."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_complete:
            # Refused by the library alone, which the server takes no notice of.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.handshake_complete = self.close_sent = True
            self.transport.close()
        if self.close_sent or self.transport.is_closing():
            self._end_soon()

    def handle_connect(self, event: Request) -> None:
        """Begin, and say what else the connection can do."""
        super().handle_connect(event)
        if not self.close_sent:  # else it was no handshake, and has been answered
            self._forget_handshake()
            self.scope["extensions"][CONNECTION] = {"abort": self.transport.abort}

    def handle_text(self, event: Frame) -> None:
        """Begin a message."""
        self._frames = 1
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Begin a message that is no text."""
        self._frames = 1
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Go on with a message, unless it is in too many pieces."""
        self._frames += 1
        if self._frames > MAXIMUM_FRAMES:
            self._fail(CloseCode.MESSAGE_TOO_BIG, f"A message has {MAXIMUM_FRAMES} frames at most")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer, unless nobody reads the answers."""
        super().handle_ping()
        self._pongs = 0 if self.writable.is_set() else self._pongs + 1
        if self._pongs > MAXIMUM_PONGS:
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        """Hand a message over, unless it is not what it says it is, or one too many."""
        if self.close_sent:
            self.frames = []
        elif self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self._fail(CloseCode.INVALID_DATA, "The message is not UTF-8")
        elif self.queue.qsize() >= MAXIMUM_WAITING:
            self._fail(CloseCode.POLICY_VIOLATION, f"{MAXIMUM_WAITING} messages wait, which is as many as may")
        else:
            super().send_receive_event_to_app()

    def keepalive_timeout(self) -> None:
        """Drop a client that has not answered: there is nobody to take what is unsent."""
        super().keepalive_timeout()
        self.transport.abort()

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says, which may be that this is the end."""
        await super().send(message)
        if message["type"] == "websocket.accept" and hasattr(self, "response"):
            # Nobody asks for them any more, and connections are many and last.
            del self.request, self.response
        if self.close_sent:
            self._end_soon()

    def shutdown(self) -> None:
        """Say that the service stops."""
        super().shutdown()
        self._end_soon()

    def _forget_handshake(self) -> None:
        # The library's parser would keep the request for as long as it reads what follows; nothing of that has come.
        self.conn.parser = Protocol.parse(self.conn)
        next(self.conn.parser)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.handle_parser_exception()

    def _end_soon(self) -> None:
        self._end = self._end or self.loop.call_later(END_SECONDS, self.transport.abort)


class _Inbox:
    """What the server takes from an `asyncio.Queue`, which has three empty ones of 760 bytes."""

    __slots__ = ("_came", "_messages")

    def __init__(self) -> None:
        self._messages: list[ASGIReceiveEvent] = []
        self._came = Flag()

    def qsize(self) -> int:
        return len(self._messages)

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: ASGIReceiveEvent) -> None:
        self._messages.append(message)
        self._came.set()

    async def get(self) -> ASGIReceiveEvent:
        while not self._messages:
            self._came.clear()
            await self._came.wait()
        return self._messages.pop(0)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
