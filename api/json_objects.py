"""JSON objects from strangers: any bytes give an object or a refusal, whatever their depth, encoding or repetition."""

import json
from typing import Any, Final

import orjson

from api.envelope import EnvelopeBreach, RequestTooLarge

SEPARATORS_MAXIMUM: Final = 20_000
"""Commas and opening brackets: they bound how many values a text has, and with that the time to read and coerce it."""


def read_object(raw: bytes, what: str) -> dict[str, Any]:
    """The object in these bytes. `what` begins the sentences. Raises EnvelopeBreach, and RequestTooLarge.

    orjson is strict about UTF-8, surrogates, numbers and depth; what it lets pass is a key that is given twice, which
    other readers take differently: that is refused too.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") > SEPARATORS_MAXIMUM:
        raise RequestTooLarge(f"{what} has more than {SEPARATORS_MAXIMUM} commas and brackets.")
    try:
        value = orjson.loads(raw)
        json.loads(raw, object_pairs_hook=_once)
    except RecursionError:
        raise EnvelopeBreach(f"{what} is nested too deeply.") from None
    except _RepeatedKey:
        raise EnvelopeBreach(f"{what} has a key twice in one object.") from None
    except ValueError:
        raise EnvelopeBreach(f"{what} is not JSON in UTF-8.") from None
    if isinstance(value, list):
        raise EnvelopeBreach(f"{what} is a list: batches are not served.")
    if not isinstance(value, dict):
        raise EnvelopeBreach(f"{what} is not a JSON object.")
    return value


class _RepeatedKey(Exception):  # noqa: N818
    pass


def _once(pairs: list[tuple[str, object]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _RepeatedKey
