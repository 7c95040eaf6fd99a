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
_OF_NAMES: Final = b"abcdefghijklmnopqrstuvwxyz0123456789-"
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

    def serving(self, app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
        """The application, with bodies on their way in and out as here. To be made before any of the body is parsed."""
        inflow = Inflow(self.transport, self.flow, cycle, self.parse)
        outgoing = _Outgoing(self, cycle)

        async def serve(scope: Scope, _receive: Receive, _send: Send) -> None:
            await app(scope, inflow.receive, outgoing.send)

        return serve


class _Outgoing:
    """The way out. Heads are joined and judged as a whole; the server would do so field by field."""

    __slots__ = ("_connection", "_cycle")

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle

    async def send(self, message: Message) -> None:
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
    """Whether so many fields have been written as they are: no name is odd, and no control character is a value's."""
    if b"" in names or b"".join(names).translate(None, _OF_NAMES):
        return False
    controls = len(written) - len(written.translate(None, _CONTROLS))
    return controls == len(_LINE_END) * (count - 1)
