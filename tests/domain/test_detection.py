import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import magic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.detection import HEAD_BYTES, ask_library, detect, is_recent, is_script, is_text, open_library
from tests.domain.samples import AGREEING, CONTRADICTING, WORD, png

SAMPLES = [head for _, head, _ in [*AGREEING, *CONTRADICTING]]
WITH_THE_BUNDLED_LIBRARY = """
import pylibmagic  # from now on every libmagic that is asked for is the bundled one
from domain.detection import OLDEST_LIBRARY, magic
from domain.media import inspect
from tests.domain.samples import AGREEING, CONTRADICTING
assert magic.version() == OLDEST_LIBRARY, magic.version()
for name, head, media_type in AGREEING:
    found = inspect(name, head)
    assert found.agrees and found.media_type == media_type, (name, found)
for name, head, detected in CONTRADICTING:
    found = inspect(name, head)
    assert not found.agrees and found.detected == detected, (name, found)
"""
WITHOUT_A_LIBRARY_OF_THE_SYSTEM = """
import ctypes, sys
genuine = ctypes.CDLL
class Missing(genuine):
    def __init__(self, name, *more, **options):
        if name == "libmagic.so.1" and "pylibmagic" not in sys.modules:
            raise OSError("no such library")
        super().__init__(name, *more, **options)
ctypes.CDLL = Missing
from domain.detection import OLDEST_LIBRARY, magic
assert "pylibmagic" in sys.modules
assert magic.version() == OLDEST_LIBRARY, magic.version()
"""


def test_an_absent_library_is_not_recent() -> None:
    assert not is_recent("libmagic-of-nowhere.so.1")


def test_a_library_that_tells_no_version_is_not_recent() -> None:
    assert not is_recent("libc.so.6")


@pytest.mark.parametrize("program", [WITH_THE_BUNDLED_LIBRARY, WITHOUT_A_LIBRARY_OF_THE_SYSTEM])
def test_the_bundled_library_takes_the_place_of_the_systems(program: str) -> None:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_bytes_that_make_the_library_give_up_are_unknown() -> None:
    weary = open_library()
    weary.setparam(magic.MAGIC_PARAM_NAME_MAX, 0)
    with pytest.raises(magic.MagicException):
        weary.from_buffer(WORD)
    assert ask_library(weary, WORD) == "application/octet-stream"


def test_threads_detect_at_the_same_time() -> None:
    alone = [detect(head) for head in SAMPLES]
    with ThreadPoolExecutor(8) as pool:
        rounds = list(pool.map(lambda _: [detect(head) for head in SAMPLES], range(24)))
    assert all(found == alone for found in rounds)


@given(st.binary())
def test_any_bytes_have_a_media_type(head: bytes) -> None:
    assert detect(head).count("/") == 1


@given(st.sampled_from(SAMPLES), st.binary(max_size=20), st.integers(0, 200), st.integers(0, 600))
def test_damaged_files_have_a_media_type(head: bytes, damage: bytes, at: int, length: int) -> None:
    assert detect((head[:at] + damage + head[at + len(damage) :])[:length]).count("/") == 1


def test_what_lies_behind_the_head_changes_nothing() -> None:
    head = png().ljust(HEAD_BYTES, b"\0")
    assert detect(head + b"<script>") == "image/png"
    assert is_text(b"a" * HEAD_BYTES + b"\0")


def test_a_page_is_looked_for_where_browsers_look() -> None:
    page = b"<script>"
    assert detect(png().ljust(1445 - len(page), b"\0") + page) == "text/html"
    assert detect(png().ljust(1445, b"\0") + page) == "image/png"


@pytest.mark.parametrize(
    "unit", [b"\n", b" ", b"a", b"[", b"<", b"\xff", b"\0", b"PK\3\4", b"#!", b"PK\3\4" + bytes(26)]
)
def test_no_repetition_keeps_a_thread_busy(unit: bytes) -> None:
    head = (unit * HEAD_BYTES)[:HEAD_BYTES]
    began = time.thread_time()
    detect(head)
    assert time.thread_time() - began < 0.05  # line ends take 0.4 s when libmagic tests for text


@pytest.mark.parametrize(
    "text", [b"", b"a", b"tab\tline\r\n", "é".encode(), "é".encode("cp1252"), "é".encode("utf-16")]
)
def test_text_is_text(text: bytes) -> None:
    assert is_text(text)


@pytest.mark.parametrize("binary", [b"\0", b"a\x07", b"\x7fELF\2", b"\xff\xfe\x00\xd8\x00\xd8", "\a".encode("utf-16")])
def test_controls_and_broken_pairs_are_no_text(binary: bytes) -> None:
    assert not is_text(binary)


def test_only_a_first_line_with_a_path_names_an_interpreter() -> None:
    assert is_script(b"#!/bin/sh")
    assert is_script(b"#! /usr/bin/env python3")
    assert not is_script(b"#!important")
    assert not is_script(b"\n#!/bin/sh")
