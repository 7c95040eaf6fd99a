"""One request and its answer on a connection: between the application and the server's own `cycle`.

Nothing here is referred to by what it refers to. What goes round in a circle waits for the collector, and so does the
memory that the next request could have had at once, while it is warm.
"""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from api.inflow import Inflow
from api.zero_copy import ZERO_COPY, FileSender

# What the server would look for in each name and each value by itself, for all of them.
_NAME_OCTETS: Final = b"abcdefghijklmnopqrstuvwxyz0123456789-"
_CONTROLS: Final = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
_LINE_END: Final = b"\r\n"
_TELLING_FIELDS = frozenset({b"connection", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Connection:
    """What the exchanges of one connection share. `parse` takes what was read for one of them."""

    transport: asyncio.Transport
    flow: FlowControl
    parse: Callable[[bytes], None]
    threads: ThreadPoolExecutor


class Exchange:
    """An application that serves one request, with bodies and heads on their way in and out as here.

    Heads are joined and judged as a whole; the server would do so field by field.
    """

    __slots__ = ("_app", "_connection", "_cycle", "_inflow")

    def __init__(self, app: ASGIApp, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._connection = connection
        self._cycle = cycle
        self._inflow: Inflow | None = None

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        """Serve the request."""
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        # Made when it is asked for: most requests have no body.
        if self._inflow is None:
            own = self._connection
            self._inflow = Inflow(own.transport, own.flow, self._cycle, own.parse)
        return await self._inflow.receive()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == ZERO_COPY:
            own = self._connection
            await FileSender(own.transport, own.flow, self._cycle, own.threads).send(message)
        elif kind != "http.response.start" or not self._begin(message):
            await self._cycle.send(message)  # type: ignore[arg-type]

    def _begin(self, message: Message) -> bool:
        """Send a head that tells the length of what follows. False where the server has to see to it."""
        cycle, flow = self._cycle, self._connection.flow
        if cycle.response_started or cycle.disconnected or flow.write_paused or not cycle.keep_alive:
            return False
        fields = [*cycle.default_headers, *message.get("headers", ())]
        named = dict(fields)
        length = named.get(b"content-length", b"")
        written = _LINE_END.join(map(b": ".join, fields))
        is_plain = _are_plain(named, written, len(fields))
        if not is_plain or not length.isdigit() or not _TELLING_FIELDS.isdisjoint(named):
            return False
        cycle.response_started = True
        cycle.waiting_for_100_continue = cycle.chunked_encoding = False
        cycle.expected_content_length = int(length)
        self._connection.transport.write(b"%b%b\r\n\r\n" % (STATUS_LINE[message["status"]], written))
        return True


def _are_plain(names: Collection[bytes], written: bytes, count: int) -> bool:
    """Whether so many fields may go out as they are written: names of small letters, digits, hyphens; no controls."""
    if b"" in names or b"".join(names).translate(None, _NAME_OCTETS):
        return False
    controls = len(written) - len(written.translate(None, _CONTROLS))
    return controls == len(_LINE_END) * (count - 1)
