from datetime import timedelta

import pytest

from domain.letters import LINE_CHARACTERS, Letter, MailToken, Request, html_of, one_line, text_of

TOKEN = MailToken("t" * 90, timedelta(hours=24))
LETTER = Letter(
    title="<Title> & more",
    greeting="Hello <script>alert(1)</script>,",
    before=("word " * 40, "a\"b'c&d"),
    request=Request("<b>Click</b>", "https://x.org/#a='\"<>&", TOKEN),
    after=("After.",),
    signature="Cairn at https://x.org",
)


def test_text_is_in_short_lines_but_for_links_and_tokens_which_stand_alone_and_whole() -> None:
    lines = text_of(LETTER).splitlines()
    assert TOKEN.text in lines
    assert "https://x.org/#a='\"<>&" in lines
    assert max(len(line) for line in lines if line != TOKEN.text) <= LINE_CHARACTERS
    assert "It can be used once, within 1 day." in lines


def test_nothing_that_people_wrote_is_markup() -> None:
    page = html_of(LETTER)
    assert "<title>&lt;Title&gt; &amp; more</title>" in page
    assert "<p>Hello &lt;script&gt;alert(1)&lt;/script&gt;,</p>" in page
    assert "<p>a&quot;b&#x27;c&amp;d</p>" in page
    assert 'href="https://x.org/#a=&#x27;&quot;&lt;&gt;&amp;"' in page
    assert "&lt;b&gt;Click&lt;/b&gt;</a>" in page
    assert f"<code>{TOKEN.text}</code>" in page
    assert "src=" not in page


def test_a_letter_without_a_request_has_neither_link_nor_token() -> None:
    letter = Letter("T", "Hello,", ("before",), None, ("after",), "signature")
    assert text_of(letter) == "Hello,\n\nbefore\n\nafter\n\nsignature\n"
    assert "<a " not in html_of(letter)
    assert "token" not in html_of(letter)


@pytest.mark.parametrize(
    ("lifetime", "told"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(seconds=2), "a minute"),
    ],
)
def test_how_long_a_token_is_good_for_is_told_in_the_largest_unit(lifetime: timedelta, told: str) -> None:
    letter = Letter("T", "Hello,", (), Request("l", "https://x.org", MailToken("t", lifetime)), (), "s")
    assert f"within {told}." in text_of(letter)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("plain", "plain"),
        ("Zoë and Ål ✓ 文件", "Zoë and Ål ✓ 文件"),
        ("a\r\nBcc: x@y.org", "a Bcc: x@y.org"),
        ("  a \t\n\0 b  ", "a b"),
        ("abc\u202egpj.exe\u200b", "abcgpj.exe"),
        ("\ud800x\u2028y", "x y"),
        ("=?utf-8?q?x?=", "= ?utf-8?q?x?="),
        ("=\u200b?=??", "= ?= ??"),
        ("", ""),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("x" * 58 + "  y" * 10_000_000, "x" * 58 + "…"),
    ],
)
def test_what_people_wrote_becomes_part_of_a_line(written: str, line: str) -> None:
    assert one_line(written, 60) == line
