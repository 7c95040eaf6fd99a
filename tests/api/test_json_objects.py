"""JSON from strangers: an object or a refusal, in bounded time."""

import time

import pytest

from api.envelope import EnvelopeBreach, RequestTooLarge
from api.json_objects import SEPARATORS_MAXIMUM, read_object


def test_an_object_is_read() -> None:
    assert read_object(b' {"a": [1, null, "\xc3\xa4", {"b": 1.5}], "": {}} ', "It") == {
        "a": [1, None, "ä", {"b": 1.5}],
        "": {},
    }


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "It is not JSON in UTF-8."),
        (b"{", "It is not JSON in UTF-8."),
        (b"{}{}", "It is not JSON in UTF-8."),
        (b"{'a': 1}", "It is not JSON in UTF-8."),
        (b'{"a": NaN}', "It is not JSON in UTF-8."),
        (b'{"a": "\xff"}', "It is not JSON in UTF-8."),
        (b'{"a": "\\ud800"}', "It is not JSON in UTF-8."),
        (b"[" * 10_000, "It is not JSON in UTF-8."),
        (b'{"a": ' * 1010 + b"1" + b"}" * 1010, "It is"),
        (b'{"a": 1, "a": 2}', "It has a key twice in one object."),
        (b'{"a": {"b": 1, "b": 1}}', "It has a key twice in one object."),
        (b"[{}]", "It is a list: batches are not served."),
        (b"null", "It is not a JSON object."),
        (b'"{}"', "It is not a JSON object."),
    ],
)
def test_anything_else_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(EnvelopeBreach) as caught:
        read_object(raw, "It")
    assert caught.value.message.startswith(message)


def test_so_many_values_may_be_in_it_and_no_more() -> None:
    assert read_object(b'{"a": [' + b"1," * (SEPARATORS_MAXIMUM - 2) + b"1]}", "It")
    with pytest.raises(RequestTooLarge, match="more than 20000 commas and brackets"):
        read_object(b'{"a": [' + b"1," * (SEPARATORS_MAXIMUM - 1) + b"1]}", "It")


@pytest.mark.parametrize("piece", [b"{},", b"[],", b'{"a":1},', b"1,", b'"",'])
def test_a_megabyte_of_values_does_not_hold_up_the_others(piece: bytes) -> None:
    began = time.process_time()
    with pytest.raises(RequestTooLarge):
        read_object(b'{"a": [' + piece * (1_000_000 // len(piece)) + b"1]}", "It")
    assert time.process_time() - began < 0.05
