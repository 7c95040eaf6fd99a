"""Bytes onto the wire, piece by piece, with a count of those that really went out."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.types import Message, Receive, Send

from storage.store import StoreError


class Outflow:
    """The body of one answer. `sent` counts the bytes that the client's connection took, whatever ends it."""

    __slots__ = ("_receive", "_send", "sent")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.sent = 0

    async def run(self, head: Message, first: bytes, rest: AsyncGenerator[bytes, None], length: int) -> None:
        """Send the head, `first` and then the rest, `length` bytes together, until that is done or the client has left.

        Raises StoreError when the pieces end early: the server then cuts the connection, so that a part never looks
        like the whole. The pieces are closed in any case.
        """
        try:
            await self._send(head)
            if len(first) == length:
                await self._send({"type": "http.response.body", "body": first})
                self.sent = length
            else:
                await self._stream(first, rest, length)
        finally:
            await rest.aclose()

    async def _stream(self, first: bytes, rest: AsyncGenerator[bytes, None], length: int) -> None:
        # uvicorn takes bytes for a client that has left without a word, so somebody has to listen for its leaving.
        departure = asyncio.ensure_future(self._departure())
        try:
            offered = 0
            piece = first
            while piece:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
                if departure.done():
                    return departure.result()
                # A server waits before it takes a piece until it is rid of the one before.
                self.sent = offered
                offered += len(piece)
                piece = await anext(rest, b"")
            if offered != length:
                raise StoreError(f"{offered} bytes came instead of {length}")
            await self._send({"type": "http.response.body", "body": b""})
            self.sent = self.sent if departure.done() else length
        finally:
            departure.cancel()

    async def _departure(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
