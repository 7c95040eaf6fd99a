"""A streaming reader of multipart/form-data whose consumer sets the pace; the doorway of python_multipart.

The input is handed to the parser in pieces that end where an event ends, so that nothing past the event at which the
consumer stops is parsed. What the parts mean is for others to say.
"""

import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState

from api.envelope import EnvelopeBreach, RequestTooLarge
from api.part_heads import PartHead, read_head

HEAD_BYTES_MAXIMUM = 16 * 1024
HEADERS_MAXIMUM = 16
PARTS_MAXIMUM = 1024

_UNLIMITED = 1 << 62

# The parser logs a warning for every malformed request; the refusal says the same, to the one who can do something.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class PartLimits:
    """Limits per part: the bytes of a head with its boundary, its headers; and the number of parts."""

    head_bytes: int = HEAD_BYTES_MAXIMUM
    headers: int = HEADERS_MAXIMUM
    parts: int = PARTS_MAXIMUM


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part whose head came last is complete."""


Event = PartHead | bytes | PartEnd


class MultipartReader:
    """Events of one body: for each part its head, its bytes in pieces as they arrive, and its end.

    `position` counts the bytes of input that have been parsed. Everything raises EnvelopeBreach, naming the part, when
    the input is malformed, over a limit or cut short.
    """

    def __init__(self, chunks: AsyncIterator[bytes], boundary: bytes, limits: PartLimits | None = None) -> None:
        self.position = 0
        self._chunks = chunks
        self._limits = limits or PartLimits()
        self._delimiter: Final = b"\r\n--" + boundary
        self._chunk, self._at = b"", 0
        self._events: deque[Event] = deque()
        self._head: PartHead | None = None
        self._head_bytes = self._part_bytes = self._parts = 0
        self._fields: list[tuple[bytearray, bytearray]] = []
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_begin": self._on_header_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_count=_UNLIMITED,
            max_header_size=_UNLIMITED,
        )

    async def next(self, at_most: int = _UNLIMITED) -> Event | None:
        """The next event; None after the final boundary, whatever follows it. Parses `at_most` bytes at a time."""
        while not self._events:
            if self._ended:
                return None
            while self._at == len(self._chunk):
                self._chunk, self._at = await self._next_chunk(), 0
            self._parse(at_most)
        return self._events.popleft()

    async def field(self, limit: int) -> bytes:
        """The rest of the current part, whose head has been read. Raises RequestTooLarge at the first byte too many."""
        value = bytearray()
        while not isinstance(event := await self.next(limit + 1 - len(value)), PartEnd):
            if isinstance(event, bytes):
                value += event
            if len(value) > limit:
                raise RequestTooLarge(f"{self._where()} is larger than {limit} bytes.")
        return bytes(value)

    async def _next_chunk(self) -> bytes:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            raise EnvelopeBreach(
                f"{self._where()} is cut short: the request ends without its final boundary."
            ) from None

    def _parse(self, at_most: int) -> None:
        start = self._at
        end = min(self._stop(start), start + at_most, len(self._chunk))
        piece = self._chunk if end - start == len(self._chunk) else self._chunk[start:end]
        in_data = self._parser.state is MultipartState.PART_DATA
        self._at = end
        self.position += end - start
        if in_data and self._is_plain_data(piece):
            self._on_part_data(piece, 0, len(piece))
            return
        if not in_data:
            self._count_head(len(piece))
        try:
            self._parser.write(piece)
        except FormParserError:
            raise EnvelopeBreach(f"{self._where()} is malformed.") from None

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes:
            where = self._where() if self._head is None else f"The boundary after {self._head}"
            raise RequestTooLarge(f"{where} is larger than {self._limits.head_bytes} bytes.")

    def _stop(self, start: int) -> int:
        # Where the next event can end at the earliest: a head's line; a delimiter with the two bytes that tell whether
        # another part follows.
        if self._parser.state is not MultipartState.PART_DATA:
            line_end = self._chunk.find(b"\n", start) + 1
            return line_end or start + self._limits.head_bytes + 1
        if self._parser.index:
            return start + max(1, len(self._delimiter) + 2 - self._parser.index)
        found = self._chunk.find(self._delimiter, start)
        return len(self._chunk) if found < 0 else found + len(self._delimiter) + 2

    def _is_plain_data(self, piece: bytes) -> bool:
        # The parser would look for the delimiter a second time and hand the piece back unchanged: `_stop` has found
        # none, and without a carriage return near its end none can have begun.
        return self._parser.index == 0 and piece.find(b"\r", max(0, len(piece) - len(self._delimiter) - 2)) < 0

    def _where(self) -> str:
        if self._head is not None:
            return str(self._head)
        return f"The head of part {self._parts}" if self._parts else "The beginning of the body"

    def _on_part_begin(self) -> None:
        self._parts += 1
        self._fields = []
        self._head = None

    def _on_header_begin(self) -> None:
        if len(self._fields) == self._limits.headers:
            raise RequestTooLarge(f"{self._where()} has more than {self._limits.headers} headers.")
        self._fields.append((bytearray(), bytearray()))

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._fields[-1][0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._fields[-1][1].extend(data[start:end])

    def _on_headers_finished(self) -> None:
        if self._parts > self._limits.parts:
            raise RequestTooLarge(f"The request has more than {self._limits.parts} parts.")
        self._head = read_head(self._parts, [(bytes(key), bytes(value)) for key, value in self._fields])
        self._head_bytes = self._part_bytes = 0
        self._events.append(self._head)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._part_bytes += end - start
        self._events.append(data[start:end])

    def _on_part_end(self) -> None:
        declared = self._head.content_length if self._head else None
        if declared is not None and declared != self._part_bytes:
            raise EnvelopeBreach(f"{self._where()} has {self._part_bytes} bytes and declared {declared}.")
        self._events.append(PartEnd())

    def _on_end(self) -> None:
        self._ended = True
