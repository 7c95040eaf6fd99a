"""Requests for a WebSocket (RFC 6455 section 4.2.1), judged before the connection is given over to its protocol.

The library behind it refuses some of them without an answer, or without an end of the connection.
"""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

VERSION: Final = b"13"
KEY_BYTES: Final = 16
MAXIMUM_LINE_BYTES: Final = 8_000
"""What the library takes of a header, or of the first line with method and version, is a little more."""

MAXIMUM_HEADERS: Final = 100
_VERSION: Final = b"sec-websocket-version"
_KEY: Final = b"sec-websocket-key"


class Breach(NamedTuple):
    """Why there is no WebSocket: the answer's status, what it says, and headers of its own."""

    status: int
    detail: str
    headers: Sequence[tuple[bytes, bytes]] = ()


def breach_of(method: str, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Breach | None:
    """What is wrong with a handshake; None: it is one. The names of headers are in lower case."""
    given = list(headers)
    return next(chain(_too_much(url, given), _unlike_a_handshake(method, given)), None)


def _too_much(url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Iterator[Breach]:
    if len(url) > MAXIMUM_LINE_BYTES:
        yield Breach(414, f"The URL is longer than {MAXIMUM_LINE_BYTES} bytes.")
    if len(headers) > MAXIMUM_HEADERS or any(len(name) + len(value) > MAXIMUM_LINE_BYTES for name, value in headers):
        yield Breach(431, f"A handshake has {MAXIMUM_HEADERS} headers of {MAXIMUM_LINE_BYTES} bytes at most.")


def _unlike_a_handshake(method: str, headers: Sequence[tuple[bytes, bytes]]) -> Iterator[Breach]:
    if method != "GET":
        yield Breach(405, "A WebSocket is asked for by GET.", [(b"allow", b"GET")])
    if any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers):
        yield Breach(400, "A handshake has no body.")
    versions, keys = ([value for name, value in headers if name == wanted] for wanted in (_VERSION, _KEY))
    if versions != [VERSION]:
        yield Breach(426, "Version 13 of WebSockets is spoken.", [(b"upgrade", b"websocket"), (_VERSION, VERSION)])
    if len(keys) != 1 or not _is_key(keys[0]):
        yield Breach(400, "The handshake needs one Sec-WebSocket-Key of 16 bytes, in base64.")


def _is_key(value: bytes) -> bool:
    try:
        return len(b64decode(value, validate=True)) == KEY_BYTES
    except ValueError:
        return False
