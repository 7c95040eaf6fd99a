"""Nothing but a key becomes a path, and no path leaves its folder."""

import os
import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.keys import branch_of, is_key, new_key, path_of, require_key

KEY = "0123456789abcdef0123456789abcdef"
HEX = st.text("0123456789abcdef", min_size=32, max_size=32)

NO_KEYS = [
    "",
    ".",
    "..",
    "/",
    "../" + KEY,
    KEY + "/..",
    "../../etc/passwd",
    "/etc/passwd",
    "..\\..\\windows",
    "C:\\x",
    KEY[:-1],
    KEY + "0",
    KEY * 2,
    KEY.upper(),
    KEY[:-1] + "g",
    KEY[:-1] + " ",
    " " + KEY,
    KEY + "\n",
    KEY + "\0",
    "\0" + KEY[1:],
    KEY[:10] + "\n" + KEY[11:],
    KEY[:2] + "/" + KEY[3:],
    KEY[:2] + "\\" + KEY[3:],
    KEY[:-2] + "..",
    "." * 32,
    "/" * 32,
    "-" + KEY[1:],
    "~" + KEY[1:],
    "%2e%2e%2f" + KEY[9:],
    "٠" * 32,  # noqa: RUF001 - digits, only not these
    "０" * 32,  # noqa: RUF001 - full width, and two letters further on the same
    "ａ" * 32,  # noqa: RUF001
    "\ud800" * 32,
    "a\u0301" * 16,
    "0123456789abcdef-0123456789abcde",
    "{0123456789abcdef0123456789abcd}",
]


def test_new_keys_are_keys() -> None:
    assert all(is_key(new_key()) for _ in range(100))


def test_new_keys_differ() -> None:
    assert len({new_key() for _ in range(10_000)}) == 10_000


def test_new_keys_fall_into_all_branches() -> None:
    assert {branch_of(new_key()) for _ in range(20_000)} == {f"{number:02x}" for number in range(256)}


@pytest.mark.parametrize("text", NO_KEYS, ids=ascii)
def test_what_is_not_a_key_has_no_path(text: str) -> None:
    assert not is_key(text)
    with pytest.raises(ValueError, match="not a key"):
        path_of(text)
    with pytest.raises(ValueError, match="not a key"):
        branch_of(text)
    with pytest.raises(ValueError, match="not a key"):
        require_key(text)


@given(st.text())
@example(KEY + "\n")
def test_no_text_but_a_key_has_a_path(text: str) -> None:
    is_plain = len(text) == 32 and set(text) <= set(string.hexdigits.lower())
    assert is_key(text) is is_plain


@given(HEX)
def test_the_path_of_a_key_lies_in_a_branch_of_the_folder(key: str) -> None:
    require_key(key)
    folder = Path("/blobs")
    path = folder / path_of(key)
    assert path.parent.parent == folder
    assert path.parent.name == branch_of(key)
    assert len(branch_of(key)) == 2
    assert path.name == key
    assert os.path.normpath(path) == str(path)


@given(HEX, HEX)
def test_different_keys_have_different_paths(one: str, other: str) -> None:
    assert (path_of(one) == path_of(other)) is (one == other)
