import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.ports import SystemRandomness
from domain.key_secrets import draw_prefix, draw_secret, hash_of, is_marked
from domain.tokens import MAXIMUM_CHARACTERS

RANDOMNESS = SystemRandomness()


class Constant:
    """What anybody can guess, so that a test has the same name each time."""

    def draw(self, count: int) -> bytes:
        return bytes(range(count))


SECRET = draw_secret(Constant(), "cairn_abcdefgh").text


def test_a_secret_that_nothing_was_done_to_is_one() -> None:
    assert hash_of(SECRET) == sha256(SECRET.encode()).hexdigest()


def test_a_secret_says_what_it_is_and_whose_and_has_256_random_bits() -> None:
    prefix = draw_prefix(RANDOMNESS)
    first, second = draw_secret(RANDOMNESS, prefix), draw_secret(RANDOMNESS, prefix)
    assert re.fullmatch(r"cairn_[a-z2-7]{8}", prefix)
    assert re.fullmatch(prefix + r"_[A-Za-z0-9_-]{49}", first.text)
    assert first.text != second.text
    assert hash_of(first.text) == first.hash == sha256(first.text.encode()).hexdigest()
    assert is_marked(first.text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cairn_",
        SECRET[:-1],
        SECRET + "A",
        SECRET + "\n",
        SECRET.upper(),
        SECRET.replace("cairn", "Cairn"),
        SECRET.replace("_abcdefgh_", "_abcdefg1_"),
        SECRET.replace("_abcdefgh_", "_abcdefga_"),
        SECRET[:20] + ("a" if SECRET[20] != "a" else "b") + SECRET[21:],
        SECRET[:30] + "\0" + SECRET[31:],
        SECRET[:30] + "\ud800" + SECRET[31:],
        SECRET[:30] + "ä" + SECRET[31:],
        "cairn_" + "a" * MAXIMUM_CHARACTERS,
        "cairn_" + "a" * 1_000_000,
    ],
)
def test_whatever_is_no_secret_is_told_without_a_hash(text: str) -> None:
    assert hash_of(text) is None


@given(st.text(max_size=80))
def test_no_text_is_a_fault(text: str) -> None:
    assert hash_of(text) is None
    assert hash_of("cairn_" + text) is None


def test_an_access_token_is_not_taken_for_a_key() -> None:
    assert not is_marked("eyJhbGciOiJIUzI1NiJ9.e30.x")
