"""Heads and bodies on a transport that counts its writes."""

import asyncio

from api.corking import JOINED_BYTES, Corked

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Wire(asyncio.Transport):
    """A transport that keeps what was written, and whether it was closed before or after."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return 0


def corked() -> tuple[Corked, Wire]:
    wire = Wire()
    return Corked(wire, asyncio.get_running_loop()), wire


async def test_a_head_goes_out_with_the_body_behind_it() -> None:
    transport, wire = corked()
    transport.write(HEAD)
    assert (wire.writes, transport.get_write_buffer_size()) == ([], len(HEAD))
    transport.write(b"ok")
    transport.write(b"more")
    assert wire.writes == [HEAD + b"ok", b"more"]


async def test_a_head_does_not_wait_longer_than_a_turn_of_the_loop() -> None:
    transport, wire = corked()
    transport.write(HEAD)
    await asyncio.sleep(0)
    assert wire.writes == [HEAD]
    transport.write(b"ok")
    assert wire.writes == [HEAD, b"ok"]


async def test_a_large_body_is_not_copied_behind_its_head() -> None:
    transport, wire = corked()
    body = bytes(JOINED_BYTES + 1)
    transport.write(HEAD)
    transport.write(body)
    assert wire.writes == [HEAD, body]


async def test_closing_lets_the_head_out_first() -> None:
    transport, wire = corked()
    transport.write(HEAD)
    transport.close()
    assert (wire.writes, wire.is_closed) == ([HEAD], True)


async def test_what_is_held_is_lost_with_a_connection_that_is_gone() -> None:
    transport, wire = corked()
    transport.write(HEAD)
    wire.close()
    await asyncio.sleep(0)
    assert wire.writes == []


async def test_everything_else_is_the_transports_own() -> None:
    transport, wire = corked()
    assert not transport.is_closing()
    wire.close()
    assert transport.is_closing()


async def test_nothing_is_written_to_a_connection_that_is_being_closed() -> None:
    transport, wire = corked()
    transport.write(HEAD)
    transport.close()
    transport.write(b"ok")
    assert wire.writes == [HEAD]
