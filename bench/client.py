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

from bench.load import Load, Outcome

FILLING = (b"The harbour lies quiet at dusk; one lamp burns on the mole.\n" * 300_000)[: 16 * 1024**2]
SMALL = 256 * 1024
ANSWER_BYTES = 1024**2
KEPT_ANSWER = 64 * 1024  # more than the list of 50 files has


class AnswerFault(Exception):  # noqa: N818
    """The server did not answer as it should."""


def pieces_of(load: Load) -> list[memoryview]:
    """The request as it is sent: one piece when it is small, else views of one shared buffer."""
    if load.fill <= SMALL:
        return [memoryview(load.head.encode() + FILLING[: load.fill] + load.tail.encode())]
    whole, rest = divmod(load.fill, len(FILLING))
    filling = [memoryview(FILLING)] * whole + ([memoryview(FILLING)[:rest]] if rest else [])
    tail = [memoryview(load.tail.encode())] if load.tail else []
    return [memoryview(load.head.encode()), *filling, *tail]


class Connection:
    """One connection with one request under way at a time."""

    def __init__(self, load: Load, pieces: list[memoryview], scratch: memoryview) -> None:
        self.socket = socket.create_connection(("127.0.0.1", load.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        self._pieces = pieces
        self._scratch = scratch
        self.begun_at = 0.0
        self.done = 0
        self.answer = bytearray()

    def begin(self) -> None:
        """Start the next request."""
        self.begun_at = time.perf_counter()
        self._piece = self._offset = 0
        self._head = bytearray()
        self._missing = -1  # bytes of the answer's body, unknown before its head
        self.answer = bytearray()

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
        if self._missing < 0:
            self._head += self._scratch[:count]
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False, count
            self.answer += self._head[end + 4 :]
            self._missing = _length(bytes(self._head[:end])) - (len(self._head) - end - 4)
        else:
            self._missing -= count
            if len(self.answer) < KEPT_ANSWER:
                self.answer += self._scratch[:count]
        return self._missing == 0, count


def _length(head: bytes) -> int:
    if not head.startswith(b"HTTP/1.1 200"):
        raise AnswerFault(head.decode("latin-1"))
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise AnswerFault("an answer without Content-Length")


class Run:
    """All connections of a load, driven by one selector."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._selector = selectors.DefaultSelector()
        pieces, scratch = pieces_of(load), memoryview(bytearray(ANSWER_BYTES))
        self._request_bytes = sum(map(len, pieces))
        self._connections = [Connection(load, pieces, scratch) for _ in range(load.connections)]
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
            sent=len(spans) * self._request_bytes,
            received=self._received,
            median_ms=round(median(spans) * 1000, 3),
            slowest_ms=round(spans[int(len(spans) * 0.99)] * 1000, 3),
            cpu=round((time.process_time() - cpu) / (time.perf_counter() - begun_at), 2),
            first_answer=self._first[:KEPT_ANSWER].decode("utf-8", "replace"),
        )

    def _begin(self, connection: Connection) -> None:
        connection.begin()
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
        if is_complete:
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
    print(json.dumps(asdict(Run(Load(**json.load(sys.stdin))).run())))
