"""Answers given while the client is still sending: the client reads the answer instead of a connection reset.

Closing a socket with unread input makes the kernel send a reset, and clients then lose an answer that they had
already received. So the answer goes out whole, input is discarded for a bounded time and size, and then it is closed.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOK_AHEAD = 4
"""Messages that may have arrived unread before an answer counts as early."""


@dataclass(frozen=True, slots=True)
class Parting:
    """ASGI middleware for the outside of the application: it must see every message.

    An answer that begins before the body has arrived whole says `Connection: close`; its end waits until the rest of
    the body has been discarded: `discard_bytes` of it at most, for `discard_seconds` at most.
    """

    app: ASGIApp
    discard_seconds: float
    discard_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _has_body(scope):
            await self.app(scope, receive, send)
            return
        body = _Body(receive, is_withheld="expect" in Headers(scope=scope))
        is_early = False

        async def send_and_part(message: Message) -> None:
            nonlocal is_early
            if message["type"] == "http.response.start":
                is_early = not await body.has_arrived()
                if is_early:
                    MutableHeaders(scope=message)["connection"] = "close"
            elif is_early and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await body.discard(self.discard_seconds, self.discard_bytes)
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        try:
            await self.app(scope, body.receive, send_and_part)
        finally:
            body.close()


class _Body:
    """A body on its way to the application, watched for its end."""

    def __init__(self, receive: Receive, *, is_withheld: bool) -> None:
        self._receive = receive
        # A client that expects `100 Continue` sends nothing before the first `receive` makes the server write it.
        self._is_withheld = is_withheld
        self._has_ended = False
        self._ahead: deque[Message] = deque()
        self._coming: asyncio.Task[Message] | None = None

    async def receive(self) -> Message:
        """The next message, as the application asks for it."""
        self._is_withheld = False
        if self._ahead:
            return self._ahead.popleft()
        coming, self._coming = self._coming, None
        return self._seen(await (coming or self._receive()))

    async def has_arrived(self) -> bool:
        """Whether the body, read or not, is here to its end: then the connection can serve another request."""
        if self._is_withheld:
            return False
        while not self._has_ended and len(self._ahead) < LOOK_AHEAD:
            self._coming = self._coming or asyncio.create_task(self._next())
            await asyncio.sleep(0)
            if not self._coming.done():
                break
            self._ahead.append(self._seen(self._coming.result()))
            self._coming = None
        return self._has_ended

    async def discard(self, seconds: float, size: int) -> None:
        """Receive the rest and forget it, within bounds."""
        discarded = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while discarded < size and (self._ahead or not self._has_ended):
                    discarded += len((await self.receive()).get("body", b""))

    def close(self) -> None:
        """Stop waiting for what nobody will ask for."""
        if self._coming is not None:
            self._coming.cancel()

    async def _next(self) -> Message:
        return await self._receive()

    def _seen(self, message: Message) -> Message:
        self._has_ended = self._has_ended or not message.get("more_body", False)
        return message


def _has_body(scope: Scope) -> bool:
    fields = dict(scope["headers"])
    return b"transfer-encoding" in fields or fields.get(b"content-length", b"0") != b"0"
