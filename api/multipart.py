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
_BEFORE_HEADS = {MultipartState.START, MultipartState.HEADER_FIELD_START}
_CARRIAGE_RETURN = 0x0D

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
        self._boundary: Final = b"\r\n--" + boundary
        self._delimiter_bytes: Final = len(self._boundary) + 2
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
            while self._at == len(self._chunk) or self._is_torn():
                self._chunk, self._at = self._chunk[self._at :] + await self._next_chunk(), 0
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
        if self._parser.state is MultipartState.PART_DATA:
            self._parse_data(at_most)
            return
        piece = self._passed(min(self._head_end(), self._at + at_most))
        self._count_head(len(piece))
        self._write(piece)

    def _head_end(self) -> int:
        """Where the head ends, or else its line: no event comes before.

        A head that begins with a line break is empty. Where one was torn, only the parser knows what has come of it.
        """
        is_at_begin = self._parser.state in _BEFORE_HEADS and self._chunk[self._at] != _CARRIAGE_RETURN
        whole = self._chunk.find(b"\r\n\r\n", self._at, self._at + self._limits.head_bytes) if is_at_begin else -1
        if whole >= 0:
            return whole + len(b"\r\n\r\n")
        return self._chunk.find(b"\n", self._at) + 1 or self._at + self._limits.head_bytes + 1

    def _parse_data(self, at_most: int) -> None:
        """Hand on what is certainly data, or have the parser take a whole delimiter.

        The parser never sees data: it goes through what resembles a delimiter byte by byte, and somebody would send
        nothing else.
        """
        end = self._data_end()
        if end > self._at:
            data = self._passed(min(end, self._at + at_most))
            self._part_bytes += len(data)
            self._events.append(data)
        else:
            self._write(self._passed(self._at + self._delimiter_bytes))

    def _data_end(self) -> int:
        """Where a delimiter stands in the chunk, or begins at its end; else the chunk's end."""
        at = self._chunk.find(self._boundary, self._at)
        while at >= 0 and not self._may_delimit(at):
            at = self._chunk.find(self._boundary, at + 1)
        if at >= 0:
            return at
        at = self._chunk.find(b"\r", max(self._at, len(self._chunk) - self._delimiter_bytes))
        while at >= 0 and not self._may_delimit(at):
            at = self._chunk.find(b"\r", at + 1)
        return at if at >= 0 else len(self._chunk)

    def _may_delimit(self, at: int) -> bool:
        """Whether a delimiter stands at this place of the chunk, or what there is of it.

        After the boundary come a line break and another part, two hyphens and the end, or padding.
        """
        there = self._chunk[at : at + self._delimiter_bytes]
        if not there.startswith(self._boundary):
            return self._boundary.startswith(there)
        telling = there[len(self._boundary) :]
        return telling[:1] in {b" ", b"\t"} or b"\r\n".startswith(telling) or b"--".startswith(telling)

    def _is_torn(self) -> bool:
        """Whether more input has to tell if a delimiter stands here."""
        rest = len(self._chunk) - self._at
        is_short = rest < self._delimiter_bytes
        return is_short and self._parser.state is MultipartState.PART_DATA and self._may_delimit(self._at)

    def _passed(self, end: int) -> bytes:
        start, self._at = self._at, min(end, len(self._chunk))
        self.position += self._at - start
        return self._chunk[start : self._at]

    def _write(self, piece: bytes) -> None:
        try:
            self._parser.write(piece)
        except FormParserError:
            raise EnvelopeBreach(f"{self._where()} is malformed.") from None

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes:
            where = self._where() if self._head is None else f"The boundary after {self._head}"
            raise RequestTooLarge(f"{where} is larger than {self._limits.head_bytes} bytes.")

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

    def _on_part_end(self) -> None:
        declared = self._head.content_length if self._head else None
        if declared is not None and declared != self._part_bytes:
            raise EnvelopeBreach(f"{self._where()} has {self._part_bytes} bytes and declared {declared}.")
        self._events.append(PartEnd())

    def _on_end(self) -> None:
        self._ended = True
