import json

import pytest

from api import socket_messages
from api.socket_messages import MAXIMUM_ID, MAXIMUM_REASON, Close, Kind, SocketMessage, read_message


def test_messages_of_clients_are_read() -> None:
    assert read_message('{"type":"connection_init"}') == SocketMessage(Kind.INIT)
    assert read_message('{"type":"ping","payload":null,"id":7}') == SocketMessage(Kind.PING)
    assert read_message('{"type":"pong","payload":{"a":1}}') == SocketMessage(Kind.PONG, payload={"a": 1})
    assert read_message('{"type":"complete","id":"é","payload":{}}') == SocketMessage(Kind.COMPLETE, "é")
    told = json.dumps({"type": "subscribe", "id": "a" * MAXIMUM_ID, "payload": {"query": "{a}"}, "more": 1})
    assert read_message(told) == SocketMessage(Kind.SUBSCRIBE, "a" * MAXIMUM_ID, {"query": "{a}"})


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "null",
        "[]",
        "{}",
        '{"type":null}',
        '{"type":"connection_ack"}',
        '{"type":"next","id":"1"}',
        '{"type":"error","id":"1"}',
        '{"type":"PING"}',
        '{"type":"ping","payload":0}',
        '{"type":"ping","payload":""}',
        '{"type":"subscribe","payload":{}}',
        '{"type":"complete","id":""}',
        '{"type":"complete","id":null}',
        '{"type":"complete","id":["1"]}',
        json.dumps({"type": "complete", "id": "a" * (MAXIMUM_ID + 1)}),
    ],
)
def test_everything_else_ends_the_connection(given: str | None) -> None:
    with pytest.raises(Close) as caught:
        read_message(given)
    assert caught.value.code == 4400
    assert caught.value.reason


def test_messages_of_the_service_are_those_of_the_protocol() -> None:
    assert json.loads(socket_messages.acknowledged()) == {"type": "connection_ack"}
    assert json.loads(socket_messages.pong({})) == {"type": "pong"}
    assert json.loads(socket_messages.pong({"a": [1]})) == {"type": "pong", "payload": {"a": [1]}}
    assert json.loads(socket_messages.answer_of("1", {"data": None})) == {
        "id": "1",
        "type": "next",
        "payload": {"data": None},
    }
    assert json.loads(socket_messages.errors_of("1", iter([{"message": "no"}]))) == {
        "id": "1",
        "type": "error",
        "payload": [{"message": "no"}],
    }
    assert json.loads(socket_messages.completed("1")) == {"id": "1", "type": "complete"}


def test_codes_are_those_of_the_protocol() -> None:
    ends = [
        socket_messages.unauthorized(),
        socket_messages.forbidden("no"),
        socket_messages.unknown_subprotocol(),
        socket_messages.too_slow_to_begin(),
        socket_messages.is_taken("1"),
        socket_messages.too_many(),
        socket_messages.broken(),
    ]
    assert [end.code for end in ends] == [4401, 4403, 4406, 4408, 4409, 4429, 4500]
    assert ends[4].reason == "Subscriber for 1 already exists"


def test_a_reason_fits_into_its_frame_and_ends_with_a_whole_character() -> None:
    assert socket_messages.forbidden("é" * 100).reason == "é" * (MAXIMUM_REASON // 2)
    assert len(socket_messages.is_taken("a" * MAXIMUM_ID).reason) == MAXIMUM_REASON
