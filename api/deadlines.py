"""Deadlines without progress: senders that stall are refused, readers that stall are cut off.

Only time spent waiting for the client counts, not the service's own work. Request heads are not visible here: the
server's protocol and the proxy limit those.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.connections import abort, is_writable_of
from api.envelope import SenderStalled
from api.problems import problem
from api.zero_copy import ZERO_COPY

PROGRESS_BYTES: Final = 16 * 1024
"""A sender makes progress when so many bytes have come, or the body's end: a byte now and then is none."""

READER_BYTES_PER_SECOND: Final = 8 * 1024
"""A reader that takes less than this, once `stall_seconds` are over, is as good as gone."""

SOCKET_BYTES: Final = 1024**2
"""About what a client has to take before its socket asks for more of a file."""


class ReaderStalled(OSError):  # noqa: N818 - a fact, named as such
    """The client takes the answer too slowly; an OSError, which is what ASGI says of sending to a closed connection."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """ASGI middleware: `receive` raises SenderStalled, `send` raises ReaderStalled, after `stall_seconds` in vain.

    Whoever reads the body may answer SenderStalled in its own form; if nobody does, it is answered here.
    """

    app: ASGIApp
    stall_seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        reader = _Reader(send, self.stall_seconds, is_writable_of(scope))
        try:
            await self.app(scope, _Sender(receive, self.stall_seconds).receive, reader.send)
        except SenderStalled as stalled:
            if not reader.has_begun:
                await _answer(stalled, scope, receive, reader.send)
        except ReaderStalled:
            await abort(scope)


class _Sender:
    __slots__ = ("_has_ended", "_patience", "_progress", "_receive", "_stall_seconds")

    def __init__(self, receive: Receive, stall_seconds: float) -> None:
        self._receive = receive
        self._stall_seconds = self._patience = stall_seconds
        self._progress = 0
        self._has_ended = False

    async def receive(self) -> Message:
        if self._has_ended:
            return await self._receive()
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(max(0, self._patience)):
                message = await self._receive()
        except TimeoutError:
            raise SenderStalled(f"Too little of the request came within {self._stall_seconds:g} seconds.") from None
        self._has_ended = not message.get("more_body", False)
        self._progress += len(message.get("body", b""))
        self._patience -= now() - began
        if self._progress >= PROGRESS_BYTES:
            self._progress, self._patience = 0, self._stall_seconds
        return message


class _Reader:
    __slots__ = ("_is_writable", "_send", "_stall_seconds", "_unsent", "has_begun")

    def __init__(self, send: Send, stall_seconds: float, is_writable: Callable[[], bool]) -> None:
        self._send = send
        self._stall_seconds = stall_seconds
        self._is_writable = is_writable
        self._unsent = 0
        self.has_begun = False

    async def send(self, message: Message) -> None:
        # A server takes a message at once and makes the next one wait until it is written.
        self.has_begun = True
        try:
            if message["type"] == ZERO_COPY:
                await self._send({**message, "patience_seconds": self._patience(SOCKET_BYTES)})
            elif self._is_writable():
                await self._send(message)
            else:
                async with asyncio.timeout(self._patience(self._unsent)):
                    await self._send(message)
        except TimeoutError:
            raise ReaderStalled("The client takes too little of the answer.") from None
        self._unsent = len(message.get("body", b""))

    def _patience(self, unsent: int) -> float:
        return self._stall_seconds + unsent / READER_BYTES_PER_SECOND


async def _answer(stalled: SenderStalled, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem(stalled.status, stalled.code, stalled.message, scope.get("state", {}).get("request_id"))
    response.headers["connection"] = "close"
    await response(scope, receive, send)
