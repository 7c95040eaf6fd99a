"""Hostile WebSockets against the real service: each ends with the code that the protocols name, or is answered."""

import asyncio
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.api.besieged import MAXIMUM_STREAMS, MAXIMUM_SUBSCRIPTIONS, People, besieged, survives
from tests.api.frames import (
    CLOSE,
    DROPPED,
    PING,
    PONG,
    TEXT,
    Shape,
    dialled,
    frame,
    handshake,
    init,
    opened,
    subscribe,
    text,
)
from tests.api.hostile_messages import (
    BEGINNINGS,
    ENDS,
    ERRORS,
    HANDSHAKES,
    UNENDED,
    WATCH,
    WATCH_PLACE,
    WATCH_UPLOAD,
)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with besieged(tmp_path_factory.mktemp("sockets")) as found:
        yield found


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_handshake_that_is_none_is_answered_and_the_connection_ends(people: People, name: str) -> None:
    head, status = HANDSHAKES[name]
    async with dialled(people.port) as raw:
        await raw.send(head)
        assert await raw.status() == status
        assert await raw.is_over()


@pytest.mark.parametrize("offered", ["graphql-ws", "chat, superchat", None])
async def test_who_speaks_another_protocol_is_told_so(people: People, offered: str | None) -> None:
    async with dialled(people.port) as raw:
        await raw.send(handshake({"Sec-WebSocket-Protocol": offered}))
        assert await raw.status() == 101
        assert await raw.ended() == (4406, "Subprotocol not acceptable")


async def test_compression_is_not_negotiated(people: People) -> None:
    async with dialled(people.port) as raw:
        await raw.send(handshake({"Sec-WebSocket-Extensions": "permessage-deflate"}))
        head = await raw.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        assert b"sec-websocket-extensions" not in head.lower()
        await raw.send(frame(TEXT, b"\xaaV*\xa9,HU\xb2R*\xc8\xccK/V\xaa\x05\x00", Shape(reserved=4)))
        assert (await raw.ended())[0] == 1002


@pytest.mark.parametrize("name", ENDS)
async def test_what_breaks_a_protocol_ends_the_connection_with_its_code(people: People, name: str) -> None:
    pieces, code = ENDS[name]
    async with opened(people.port, people.ada.token) as raw:
        with suppress(ConnectionError):  # it may end while there is more to send
            await raw.send(*pieces)
        assert (await raw.ended())[0] == code
        raw.writer.write(frame(CLOSE, struct.pack("!H", 1000)))
        assert await raw.is_over()


@pytest.mark.parametrize("name", BEGINNINGS)
async def test_who_begins_wrongly_is_told_so(people: People, name: str) -> None:
    pieces, code = BEGINNINGS[name]
    async with opened(people.port) as raw:
        await raw.send(*pieces)
        assert (await raw.ended())[0] == code


async def test_who_does_not_begin_is_not_waited_for(people: People) -> None:
    async def dawdle(*pieces: bytes) -> int:
        async with opened(people.port) as raw:
            await raw.send(*pieces)
            return (await raw.ended())[0]

    ping, end = text({"type": "ping"}), text({"type": "complete", "id": "1"})
    cut = frame(TEXT, b'{"type":"connection_init"}', UNENDED)
    ends = await asyncio.gather(dawdle(), dawdle(*[ping] * 50), dawdle(end, ping), dawdle(cut), dawdle(b"\x81"))
    assert set(ends) == {4408}


def _code_of(message: Any) -> str:
    return message["payload"][0]["extensions"]["code"] if message["type"] == "error" else ""


@pytest.mark.parametrize("name", ERRORS)
async def test_what_is_wrong_with_an_operation_ends_that_one_alone(people: People, name: str) -> None:
    piece, code = ERRORS[name]
    async with opened(people.port, people.ada.token) as raw:
        await raw.send(subscribe("0", WATCH), piece)
        message = await raw.message()
        assert (message["id"], _code_of(message)) == ("1", code)
        # Its id is free again, and the connection serves on.
        await raw.send(text({"id": "1", "type": "complete"}), subscribe("1", "{ viewer { username } }"))
        assert await raw.message() == {"id": "1", "type": "next", "payload": {"data": {"viewer": {"username": "ada"}}}}
        assert await raw.message() == {"id": "1", "type": "complete"}


async def test_nobody_is_told_what_is_not_theirs(people: People) -> None:
    for token in ("", people.eve.token):
        async with opened(people.port, token) as raw:
            await raw.send(subscribe("1", WATCH_PLACE, id=people.ada_place))
            refused = await raw.message()
            await raw.send(subscribe("1", WATCH_PLACE, id="wsp_" + "0" * 32))
            assert await raw.message() == refused
            assert _code_of(refused) == ("NOT_FOUND" if token else "UNAUTHENTICATED")


async def test_a_key_watches_what_its_scopes_allow(people: People) -> None:
    async with opened(people.port) as raw:
        await raw.send(text({"type": "connection_init", "payload": {"X-API-Key": people.key.token}}))
        assert await raw.message() == {"type": "connection_ack"}
        await raw.send(subscribe("1", WATCH), subscribe("2", WATCH_UPLOAD, id="upl_" + "0" * 32))
        message = await raw.message()
        assert (message["id"], _code_of(message)) == ("2", "FORBIDDEN")


async def test_a_thousand_subscriptions_are_refused_beyond_the_limit_and_nothing_else(people: People) -> None:
    async with opened(people.port, people.ada.token) as raw:
        await raw.send(*[subscribe(str(number), WATCH) for number in range(1_000)], text({"type": "ping"}))
        refused = []
        while (message := await raw.message())["type"] != "pong":
            refused.append((message["id"], _code_of(message), message["payload"][0]["extensions"]["maximum"]))
        wanted = range(MAXIMUM_SUBSCRIPTIONS, 1_000)
        assert refused == [(str(number), "TOO_MANY_STREAMS", MAXIMUM_SUBSCRIPTIONS) for number in wanted]


async def test_an_id_can_be_used_again_and_again(people: People) -> None:
    async with opened(people.port, people.ada.token) as raw:
        for _ in range(500):
            await raw.send(subscribe("1", WATCH) + text({"id": "1", "type": "complete"}))
        await raw.send(subscribe("1", "{ __typename }"))
        assert (await raw.message())["payload"] == {"data": {"__typename": "Query"}}


async def test_connections_beyond_the_limit_are_refused_until_one_ends(people: People) -> None:
    async def try_once() -> int:
        async with opened(people.port) as raw:
            await raw.send(init(people.eve.token), text({"type": "ping"}), frame(CLOSE))
            return (await raw.ended())[0]

    held = [opened(people.port, people.eve.token) for _ in range(MAXIMUM_STREAMS)]
    for each in held:
        await each.__aenter__()
    assert await try_once() == 4429
    await held.pop().__aexit__(None, None, None)
    for _ in range(100):
        if (code := await try_once()) == 1005:
            break
        await asyncio.sleep(0.05)
    assert code == 1005
    for each in held:
        await each.__aexit__(None, None, None)


async def test_pings_are_answered_by_both_protocols(people: People) -> None:
    async with opened(people.port, people.ada.token) as raw:
        await raw.send(frame(PING, b"abc"), text({"type": "ping", "payload": {"a": [1]}}), frame(PONG, b"unasked"))
        assert await raw.receive() == (PONG, b"abc")
        assert await raw.message() == {"type": "pong", "payload": {"a": [1]}}


async def test_pings_whose_answers_nobody_reads_end_the_connection(people: People) -> None:
    async with dialled(people.port, receive_bytes=4096) as raw:
        await raw.send(handshake())
        flood = [frame(PING, bytes(125)) * 500] * 2_000
        with pytest.raises(ConnectionError):
            await raw.send(*flood)


async def test_a_request_under_way_cannot_become_a_websocket(people: People) -> None:
    stream = (
        "GET /graphql?query=subscription%7BfileChanged%7Bkind%7D%7D HTTP/1.1\r\nHost: cairn.test\r\n"
        f"Accept: text/event-stream\r\nAuthorization: Bearer {people.ada.token}\r\n\r\n"
    ).encode()
    for pieces in ([stream + handshake()], [stream, handshake()]):
        async with dialled(people.port) as raw:
            for piece in pieces:
                await raw.send(piece)
                await asyncio.sleep(0.1)
            assert await raw.is_over()


async def test_half_a_connection_is_none(people: People) -> None:
    for token in (None, people.ada.token):
        async with opened(people.port, token) as raw:
            await raw.send(subscribe("1", WATCH) if token else b"")
            raw.writer.write_eof()
            assert await raw.ended() == (DROPPED, "")


async def test_the_service_is_well_and_has_said_nothing_that_it_should_not(people: People) -> None:
    await survives(people)
