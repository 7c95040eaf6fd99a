"""Bytes onto the wire: whole answers, clients that leave, pieces that end early, and the count in each case."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Message

from api.sending import Outflow
from storage.store import StoreError

HEAD: Message = {"type": "http.response.start", "status": 200, "headers": []}


class Client:
    """The server's side of a client that may leave after so many messages."""

    def __init__(self, leaves_after: int | None = None) -> None:
        self.messages: list[Message] = []
        self.left = asyncio.Event()
        self._leaves_after = leaves_after
        self._asked = 0

    async def receive(self) -> Message:
        self._asked += 1
        if self._asked == 1:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.left.is_set():
            return
        self.messages.append(message)
        await asyncio.sleep(0)
        if len(self.messages) == self._leaves_after:
            self.left.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def is_complete(self) -> bool:
        last = self.messages[-1]
        return last["type"] == "http.response.body" and not last.get("more_body", False)


class Pieces:
    """Pieces that know whether they were closed."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.is_closed = False

    async def all(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                yield piece
        finally:
            self.is_closed = True


async def flow(client: Client, pieces: Pieces, length: int) -> Outflow:
    outflow = Outflow(client.receive, client.send)
    rest = pieces.all()
    await outflow.run(HEAD, await anext(rest, b""), rest, length)
    return outflow


async def test_what_fits_one_piece_is_one_message() -> None:
    client, pieces = Client(), Pieces(b"abc")

    assert (await flow(client, pieces, 3)).sent == 3
    assert [message["type"] for message in client.messages] == ["http.response.start", "http.response.body"]
    assert client.body == b"abc"
    assert client.is_complete
    assert pieces.is_closed


async def test_nothing_is_sent_as_one_empty_message() -> None:
    client = Client()

    assert (await flow(client, Pieces(), 0)).sent == 0
    assert (len(client.messages), client.is_complete) == (2, True)


async def test_many_pieces_go_out_in_order() -> None:
    client, pieces = Client(), Pieces(b"ab", b"cd", b"e")

    assert (await flow(client, pieces, 5)).sent == 5
    assert (client.body, client.is_complete, pieces.is_closed) == (b"abcde", True, True)


async def test_a_client_that_leaves_is_not_sent_the_rest_and_only_what_it_took_counts() -> None:
    client, pieces = Client(leaves_after=4), Pieces(b"ab", b"cd", b"ef", b"gh")

    outflow = await flow(client, pieces, 8)

    # It left with the third piece: that it took the first is sure, since the second was waited for.
    assert outflow.sent == 2
    assert pieces.is_closed
    assert not client.is_complete


async def test_a_client_that_leaves_at_the_very_end_has_not_taken_everything() -> None:
    client, pieces = Client(leaves_after=4), Pieces(b"ab", b"cd")

    assert (await flow(client, pieces, 4)).sent == 2


@pytest.mark.parametrize("pieces", [(), (b"ab",), (b"ab", b"cd")])
async def test_pieces_that_end_early_never_look_complete(pieces: tuple[bytes, ...]) -> None:
    client, source = Client(), Pieces(*pieces)

    with pytest.raises(StoreError):
        await flow(client, source, 5)

    assert not client.is_complete
    assert source.is_closed


async def test_a_failing_connection_closes_the_pieces_and_counts_nothing_more() -> None:
    pieces = Pieces(b"ab", b"cd")
    rest = pieces.all()

    async def fail(_message: Message) -> None:
        raise OSError("gone")

    outflow = Outflow(Client().receive, fail)
    with pytest.raises(OSError, match="gone"):
        await outflow.run(HEAD, await anext(rest), rest, 4)

    assert (outflow.sent, pieces.is_closed) == (0, True)
