import pytest

from api.handshakes import MAXIMUM_HEADERS, MAXIMUM_LINE_BYTES, breach_of

KEY = (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")
VERSION = (b"sec-websocket-version", b"13")
WHOLE = [(b"host", b"cairn.test"), KEY, VERSION]


def test_a_handshake_is_one() -> None:
    assert breach_of("GET", b"/graphql", WHOLE) is None
    assert breach_of("GET", b"/graphql", [*WHOLE, (b"content-length", b"0")]) is None


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", WHOLE, 405),
        ("GET", [VERSION], 400),
        ("GET", [VERSION, KEY, KEY], 400),
        ("GET", [VERSION, (KEY[0], KEY[1][:-4])], 400),
        ("GET", [VERSION, (KEY[0], b"\xff" * 24)], 400),
        ("GET", [KEY], 426),
        ("GET", [KEY, VERSION, VERSION], 426),
        ("GET", [KEY, (VERSION[0], b"12")], 426),
        ("GET", [*WHOLE, (b"content-length", b"1")], 400),
        ("GET", [*WHOLE, (b"transfer-encoding", b"chunked")], 400),
        ("GET", [*WHOLE, *[(b"x", b"y")] * (MAXIMUM_HEADERS - 2)], 431),
        ("GET", [*WHOLE, (b"x", b"y" * MAXIMUM_LINE_BYTES)], 431),
    ],
)
def test_what_is_none_is_told_apart(method: str, headers: list[tuple[bytes, bytes]], status: int) -> None:
    breach = breach_of(method, b"/graphql", headers)
    assert breach is not None
    assert breach.status == status


def test_a_url_may_be_too_long() -> None:
    assert breach_of("GET", b"/" * MAXIMUM_LINE_BYTES, WHOLE) is None
    breach = breach_of("GET", b"/" * (MAXIMUM_LINE_BYTES + 1), WHOLE)
    assert breach is not None
    assert breach.status == 414


def test_who_speaks_another_version_is_told_which_one_is_spoken() -> None:
    breach = breach_of("GET", b"/graphql", [KEY])
    assert breach is not None
    assert (VERSION[0], VERSION[1]) in breach.headers
