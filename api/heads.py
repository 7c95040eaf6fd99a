"""Limits on request heads, which uvicorn has none of: how large one may be and how long it may take.

Below ASGI nothing of a request is visible until its head is complete, so this is the only place that can keep a
client from sending headers without end, or a byte an hour. Bodies are watched in `api.deadlines`.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import cast

import orjson
from starlette.types import ASGIApp
from uuid_utils.compat import uuid7
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.connections import CONNECTION
from api.corking import Corked
from api.exchanges import Connection, Exchange
from api.handshakes import breach_of
from api.zero_copy import ZERO_COPY

MAXIMUM_HEAD_BYTES = 64 * 1024
MAXIMUM_PIPELINED = 16
TOO_LARGE = f"The request's head is larger than {MAXIMUM_HEAD_BYTES} bytes."
ONE_HOST = "A request of HTTP/1.1 has one Host header, and no request has two."
REASONS = {
    400: b"Bad Request",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    414: b"URI Too Long",
    426: b"Upgrade Required",
    431: b"Request Header Fields Too Large",
}


class Refused(Exception):  # noqa: N818 - a fact, named as such
    """No more is read: the parser stops, and the connection with it."""


class LimitedHeads(HttpToolsProtocol):
    """uvicorn's protocol, with limits, whose own refusals are JSON like all others of the service."""

    head_seconds = 30.0
    file_threads: ThreadPoolExecutor
    stopping: asyncio.Event | None = None

    _timer: asyncio.TimerHandle | None = None
    _has_progressed = False
    _is_partial = False
    _unused_bytes = 0
    _read_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the time in which the first head has to arrive."""
        super().connection_made(transport)
        self.transport = cast("asyncio.Transport", Corked(transport, self.loop))
        self._connection = Connection(self.transport, self.flow, self.data_received, self.file_threads)
        # Read alone, by every request of the connection.
        self._extensions: dict[str, dict[object, object]] = {
            CONNECTION: {
                "abort": transport.abort,
                "is_writable": partial(_is_writable, self.flow),
                "stopping": self.stopping,
            },
            ZERO_COPY: {},
        }
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and count what came without a head, a body byte or an end to show for it."""
        self._has_progressed = False
        # As large as any head that ends in this read can be, for most to need no closer look.
        self._read_bytes = len(data) + (self._read_bytes if self._is_partial else 0)
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Heads, trailers and chunk extensions gather in the parser, out of sight, for as long as they grow.
        self._unused_bytes = 0 if self._has_progressed else self._unused_bytes + len(data)
        if self._unused_bytes > MAXIMUM_HEAD_BYTES:
            self._refuse(431, TOO_LARGE)
        elif self._timer is None and (self._is_partial or not self._has_progressed):
            self._arm()

    def on_message_begin(self) -> None:
        """Note that a head has begun. Raises Refused for one request too many before the first has its answer."""
        if len(self.pipeline) >= MAXIMUM_PIPELINED:
            raise Refused
        self._has_progressed = self._is_partial = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers are none (RFC 9110 section 6.5): the request was judged by its head."""
        if self._is_partial:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note that the head is whole. Raises Refused, having told so, for one that is not answered."""
        self._has_progressed = True
        self._is_partial = False
        self._disarm()
        self._judge()
        self.scope["extensions"] = self._extensions
        super().on_headers_complete()

    def _judge(self) -> None:
        # What came in one read has not been counted yet.
        if self._read_bytes > MAXIMUM_HEAD_BYTES < self._head_bytes():
            self._refuse(431, TOO_LARGE)
            raise Refused
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._refuse(400, ONE_HOST)  # RFC 9112 section 3.2: a proxy may have read another
            raise Refused

    def _head_bytes(self) -> int:
        # A line has a colon, a space and its end besides.
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        """Note that body bytes came."""
        self._has_progressed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self._has_progressed = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse(400, msg)

    def handle_websocket_upgrade(self) -> None:
        """Give the connection over to the protocol of WebSockets, or say why not."""
        breach = breach_of(self.scope["method"], self.url, self.headers)
        if breach is not None:
            self._refuse(breach.status, breach.detail, breach.headers)
        elif self._is_in_flight():
            # Its answer would go out between frames, and it would never learn that the client has gone.
            self._refuse(400, "A WebSocket is asked for once the request before it has its answer.")
        else:
            super().handle_websocket_upgrade()
            self._forget()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        exchange = Exchange(cast("ASGIApp", app), self._connection, cycle)
        super()._start_asgi_task(cycle, cast("ASGI3Application", exchange))

    def _forget(self) -> None:
        # The parser and this know each other, and would wait for the collector for as long as the connection lasts.
        del self.parser

    def _should_upgrade(self) -> bool:
        # HTTP/1.0 knows no upgrade: such a header is ignored (RFC 9110 section 7.8).
        return self.parser.get_http_version() == "1.1" and super()._should_upgrade()

    def _arm(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if not self._is_in_flight():
            self._refuse(408, f"The request's head took longer than {self.head_seconds:g} seconds.")

    def _refuse(self, status: int, detail: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._disarm()
        # In the middle of another answer, this one would become part of it.
        if not (self._is_answering() or self.transport.is_closing()):
            self.transport.write(_answer(status, detail, headers, is_graphql=self._is_graphql()))
        self.transport.close()

    def _is_in_flight(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn declares what it only sets with the first request
        return cycle is not None and not cycle.response_complete

    def _is_answering(self) -> bool:
        return self._is_in_flight() and self.cycle.response_started

    def _is_graphql(self) -> bool:
        url: bytes = getattr(self, "url", b"")
        return url.partition(b"?")[0] == b"/graphql"


def _is_writable(flow: FlowControl) -> bool:
    return not flow.write_paused


def _answer(status: int, detail: str, headers: Sequence[tuple[bytes, bytes]], *, is_graphql: bool) -> bytes:
    title, identifier = REASONS[status].decode(), uuid7().hex
    code = title.upper().replace(" ", "_")
    if is_graphql:
        media_type = b"application/json"
        body = orjson.dumps({"errors": [{"message": detail, "extensions": {"code": code, "requestId": identifier}}]})
    else:
        media_type = b"application/problem+json"
        told = {"code": code, "title": title, "status": status, "detail": detail, "requestId": identifier}
        body = orjson.dumps(told)
    return b"\r\n".join(
        (
            b"HTTP/1.1 %d %b" % (status, REASONS[status]),
            b"content-type: " + media_type,
            b"content-length: %d" % len(body),
            b"x-content-type-options: nosniff",
            b"x-request-id: " + identifier.encode(),
            b"connection: close",
            *(name + b": " + value for name, value in headers),
            b"",
            body,
        )
    )


def limited_heads(
    head_seconds: float, file_threads: ThreadPoolExecutor, stopping: asyncio.Event | None = None
) -> type[LimitedHeads]:
    """The protocol with this deadline, as the class that uvicorn wants; files are sent in these threads.

    `stopping` is to be set when the service stops.
    """
    own = {"head_seconds": head_seconds, "file_threads": file_threads, "stopping": stopping}
    return type("LimitedHeads", (LimitedHeads,), own)
