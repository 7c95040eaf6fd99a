"""Bytes onto the wire, at once, piece by piece or straight from a file, with a count of those that really went out."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from starlette.types import Message, Receive, Send

from api.zero_copy import ClientLeft, FileTruncated, file_message
from storage.store import LocalFile, StoreError

FILE_PIECE_BYTES: Final = 8 * 1024**2
"""What is sent of a file with one message: less would cost a change of threads more often."""


class Outflow:
    """The body of one answer. `sent` counts the bytes that the client's connection took, whatever ends it.

    Every way raises StoreError when the bytes end early: the server then cuts the connection, so that a part never
    looks like the whole.
    """

    __slots__ = ("_receive", "_send", "sent")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.sent = 0

    async def run_whole(self, head: Message, body: bytes) -> None:
        """Send the head and all of the body at once."""
        await self._send(head)
        await self._send({"type": "http.response.body", "body": body})
        self.sent = len(body)

    async def run_file(self, head: Message, file: LocalFile, start: int, end: int) -> None:
        """Send the head and the bytes of a file from `start` up to, not including, `end`, and close the file.

        Needs a server with the extension of `api.zero_copy`.
        """
        try:
            await self._send(head)
            while start < end:
                count = min(FILE_PIECE_BYTES, end - start)
                await self._send(file_message(file.descriptor, start, count, self._count))
                start += count
            await self._send({"type": "http.response.body", "body": b""})
        except ClientLeft:
            return
        except FileTruncated as error:
            raise StoreError(str(error)) from error
        finally:
            file.close()

    async def run(self, head: Message, first: bytes, rest: AsyncGenerator[bytes, None], length: int) -> None:
        """Send the head, `first` and then the rest, `length` bytes together, until that is done or the client has left.

        The pieces are closed in any case.
        """
        try:
            if len(first) == length:
                await self.run_whole(head, first)
            else:
                await self._send(head)
                await self._stream(first, rest, length)
        finally:
            await rest.aclose()

    def _count(self, sent: int) -> None:
        self.sent += sent

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
