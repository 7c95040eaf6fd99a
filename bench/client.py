"""The client: plain sockets, requests made beforehand, one buffer for all answers: the server is what is measured.

`python -m bench.client` reads a Load from standard input and prints its Outcome, both as JSON.
"""

import json
import selectors
import socket
import sys
import time
from dataclasses import asdict
from statistics import median
from urllib.parse import urlsplit

from bench.load import LOCATION, Load, Outcome

FILLING = (b"The harbour lies quiet at dusk; one lamp burns on the mole.\n" * 300_000)[: 16 * 1024**2]
SMALL = 256 * 1024
ANSWER_BYTES = 1024**2
KEPT_ANSWER = 64 * 1024  # more than the list of 50 files has
CHUNKED = -2
UNKNOWN = -1
END_OF_CHUNKS = b"0\r\n\r\n"


class AnswerFault(Exception):  # noqa: N818
    """The server did not answer as it should."""


def pieces_of(load: Load, head: str) -> list[memoryview]:
    """The request as it is sent: one piece when it is small, else views of one shared buffer."""
    if load.fill <= SMALL:
        return [memoryview(head.encode() + FILLING[: load.fill] + load.tail.encode())]
    whole, rest = divmod(load.fill, len(FILLING))
    filling = [memoryview(FILLING)] * whole + ([memoryview(FILLING)[:rest]] if rest else [])
    tail = [memoryview(load.tail.encode())] if load.tail else []
    return [memoryview(head.encode()), *filling, *tail]


class Connection:
    """One connection with one request under way at a time, or with the two of an opening and what it opens."""

    def __init__(self, load: Load, head: str, scratch: memoryview) -> None:
        self.socket = socket.create_connection(("127.0.0.1", load.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        self._load = load
        self._request = head
        self._whole = pieces_of(load, head)
        self._opening = [memoryview(load.opening.encode())] if load.opening else []
        self._scratch = scratch
        self.begun_at = 0.0
        self.done = 0
        self.answer = bytearray()

    def begin(self) -> None:
        """Start the next request."""
        self.begun_at = time.perf_counter()
        self._is_opening = bool(self._opening)
        self._start(self._opening or self._whole)

    def open(self) -> bool:
        """Go on with what the answer to an opening tells; whether it was one."""
        if not self._is_opening:
            return False
        self._is_opening = False
        path = urlsplit(_field(bytes(self._head), b"location").decode()).path
        self._start(pieces_of(self._load, self._request.replace(LOCATION, path, 1)))
        return True

    def _start(self, pieces: list[memoryview]) -> None:
        self._pieces = pieces
        self._piece = self._offset = 0
        self._head = bytearray()
        self._missing = UNKNOWN  # bytes of the answer's body, before its head
        self.answer = bytearray()

    @property
    def request_bytes(self) -> int:
        """The size of a request, without what opens it."""
        return sum(map(len, self._whole))

    @property
    def is_sent(self) -> bool:
        """Whether the request is out."""
        return self._piece == len(self._pieces)

    def send(self) -> None:
        """Send what the socket takes."""
        while self._piece < len(self._pieces):
            piece = self._pieces[self._piece]
            try:
                self._offset += self.socket.send(piece[self._offset :])
            except BlockingIOError:
                return
            if self._offset == len(piece):
                self._piece += 1
                self._offset = 0

    def receive(self) -> tuple[bool, int]:
        """Read what there is: whether the answer is complete, and how many bytes came."""
        try:
            count = self.socket.recv_into(self._scratch)
        except BlockingIOError:
            return False, 0
        if count == 0:
            raise AnswerFault("the server hung up")
        if not self.is_sent:
            raise AnswerFault(f"answered before the request was sent: {bytes(self._scratch[:count])!r}")
        if self._missing == UNKNOWN:
            self._head += self._scratch[:count]
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False, count
            self.answer += self._head[end + 4 :]
            self._missing = _length(bytes(self._head[:end]))
            self._missing -= 0 if self._missing == CHUNKED else len(self._head) - end - 4
        elif self._missing == CHUNKED:
            self.answer += self._scratch[:count]
        else:
            self._missing -= count
            if len(self.answer) < KEPT_ANSWER:
                self.answer += self._scratch[:count]
        if self._missing == CHUNKED:
            return self.answer.endswith(END_OF_CHUNKS), count
        return self._missing == 0, count


def _length(head: bytes) -> int:
    if not head.startswith(b"HTTP/1.1 2"):
        raise AnswerFault(head.decode("latin-1"))
    if head.startswith(b"HTTP/1.1 204"):
        return 0
    if _field(head, b"transfer-encoding") == b"chunked":
        return CHUNKED
    length = _field(head, b"content-length")
    if not length:
        raise AnswerFault("an answer without Content-Length")
    return int(length)


def _field(head: bytes, wanted: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == wanted:
            return value.strip()
    return b""


class Run:
    """All connections of a load, driven by one selector."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._selector = selectors.DefaultSelector()
        scratch = memoryview(bytearray(ANSWER_BYTES))
        heads = load.heads or (load.head,) * load.connections
        self._connections = [Connection(load, head, scratch) for head in heads]
        self._received = 0
        self._spans: list[float] = []
        self._first = b""

    def run(self) -> Outcome:
        """Send the load to its end."""
        begun_at = time.perf_counter()
        self._counts_from = begun_at + self._load.warm_seconds
        self._ends_at = self._counts_from + self._load.seconds if self._load.seconds else float("inf")
        cpu = time.process_time()
        for connection in self._connections:
            self._begin(connection)
        while self._selector.get_map():
            for key, events in self._selector.select():
                self._advance(key.data, can_read=bool(events & selectors.EVENT_READ))
        spans = sorted(self._spans)
        return Outcome(
            requests=len(spans),
            all_requests=sum(connection.done for connection in self._connections),
            seconds=self._last_at - self._counts_from,
            sent=len(spans) * self._connections[0].request_bytes,
            received=self._received,
            median_ms=round(median(spans) * 1000, 3),
            slowest_ms=round(spans[int(len(spans) * 0.99)] * 1000, 3),
            cpu=round((time.process_time() - cpu) / (time.perf_counter() - begun_at), 2),
            first_answer=self._first[:KEPT_ANSWER].decode("utf-8", "replace"),
        )

    def _begin(self, connection: Connection) -> None:
        connection.begin()
        self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        connection.send()
        self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        wanted = selectors.EVENT_READ if connection.is_sent else selectors.EVENT_READ | selectors.EVENT_WRITE
        known = self._selector.get_map().get(connection.socket)
        if known is None:
            self._selector.register(connection.socket, wanted, connection)
        elif known.events != wanted:
            self._selector.modify(connection.socket, wanted, connection)

    def _advance(self, connection: Connection, *, can_read: bool) -> None:
        if not connection.is_sent:
            connection.send()
            self._watch(connection)
        is_complete, count = connection.receive() if can_read else (False, 0)
        self._received += count
        if is_complete and connection.open():
            self._go_on(connection)
        elif is_complete:
            self._complete(connection)

    def _complete(self, connection: Connection) -> None:
        now = time.perf_counter()
        self._first = self._first or bytes(connection.answer)
        if now < self._counts_from:
            self._received = 0
        elif now <= self._ends_at or not self._spans:
            self._spans.append(now - connection.begun_at)
            self._last_at = now
        connection.done += 1
        if (now >= self._ends_at and self._spans) or connection.done == self._load.each:
            self._selector.unregister(connection.socket)
            connection.socket.close()
        else:
            self._begin(connection)


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(json.dumps(asdict(Run(Load(**given | {"heads": tuple(given["heads"])})).run())))
