"""Bodies from the socket to the application: read in large pieces when they are asked for, and copied once.

The server reads a little ahead, then stops, and copies what it has read twice more. Where a sender is ahead of that,
its bytes are read here, when the application asks for them, and go through the same parser.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final, cast
from weakref import WeakSet

from starlette.types import Message, Receive
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

MOST_BYTES: Final = 1 << 20
"""What is read at once. Large is fast; when many send at once, less is read of each."""

LEAST_BYTES: Final = 64 << 10
TOGETHER_BYTES: Final = 8 << 20

_crowd: "WeakSet[Inflow]" = WeakSet()


class Inflow:
    """The body of one request, of which `cycle` has as much as was parsed. `parse` takes what was read for it."""

    def __init__(
        self,
        transport: asyncio.Transport,
        flow: FlowControl,
        cycle: RequestResponseCycle,
        parse: Callable[[bytes], None],
    ) -> None:
        self._transport = transport
        self._flow = flow
        self._cycle = cycle
        self._parse = parse
        self._await_more = cast("Receive", cycle.receive)
        came, cycle.body = bytes(cycle.body), cast("bytearray", _Pieces())
        if came:
            cycle.body += came

    async def receive(self) -> Message:
        """The next message, as ASGI has it."""
        cycle = self._cycle
        if self._is_ahead():
            await asyncio.sleep(0)  # others have their turn however fast this one sends
            self._read()
        if cycle.disconnected or cycle.response_complete or not cycle.body:
            message = await self._await_more()
            cycle.body = cast("bytearray", _Pieces())
            return message
        cycle.message_event.clear()
        cycle.waiting_for_100_continue = False
        body, cycle.body = bytes(cycle.body), cast("bytearray", _Pieces())
        if not cycle.more_body:
            # Whether the client stays, and what it asks next, is for the server to see.
            _crowd.discard(self)
            self._flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": cycle.more_body}

    def _is_ahead(self) -> bool:
        """Whether the sender has sent more than the server wanted to read, so that reading here waits for nobody."""
        cycle = self._cycle
        return self._flow.read_paused and cycle.more_body and not (cycle.body or cycle.response_complete)

    def _read(self) -> None:
        if not self._is_ahead() or self._transport.is_closing():
            return
        _crowd.add(self)
        size = max(LEAST_BYTES, min(MOST_BYTES, TOGETHER_BYTES // len(_crowd)))
        try:
            data = os.read(self._transport.get_extra_info("socket").fileno(), size)
        except OSError:
            return  # nothing has come yet; or the connection is broken, which the server finds out as well
        if data:
            self._parse(data)


class _Pieces:
    """What the server takes for a bytearray to add to: a single piece comes out as it is."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def __iadd__(self, piece: bytes) -> "_Pieces":  # noqa: PYI034
        self._pieces.append(piece)
        self._size += len(piece)
        return self

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
