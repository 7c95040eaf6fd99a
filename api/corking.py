"""One write for an answer's head and the first of its body, where the server would make two.

Each write wakes the kernel and the client; for small answers that is half of what sending them costs.
"""

import asyncio
from typing import Any, Final

HEAD: Final = b"HTTP/1.1 "
JOINED_BYTES: Final = 64 * 1024
"""A body larger than this is not worth copying behind its head."""


class Corked:
    """A transport that keeps the head of an answer until the next write, or to the end of the loop's turn."""

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Hold a head, or send what is held and the data together; nothing more once the connection is being closed."""
        if self._transport.is_closing():
            return  # not every loop's transport takes it and forgets it
        held, self._held = self._held, b""
        if held:
            if len(data) <= JOINED_BYTES:
                data = held + data
            else:
                self._transport.write(held)
        elif data.startswith(HEAD):
            self._held = data
            self._loop.call_soon(self._release)
            return
        self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        """The bytes that are not in the socket yet."""
        return len(self._held) + self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Close once everything is sent."""
        self._release()
        self._transport.close()

    def _release(self) -> None:
        if self._held and not self._transport.is_closing():
            held, self._held = self._held, b""
            self._transport.write(held)
