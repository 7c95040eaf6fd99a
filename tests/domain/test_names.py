# ruff: noqa: RUF001 - characters that look alike are what this is about
import re
import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ExtensionNotAllowed, InvalidInput
from domain.names import NAME_BYTES, clean_name, extension_of, extensions_of, fold, judge_extension
from domain.policy import UploadPolicy

POLICY = UploadPolicy(
    maximum_file_bytes=1,
    maximum_files=1,
    allowed_extensions=frozenset({"pdf", "txt", "json", "gz", "js"}),
    blocked_extensions=frozenset({"exe", "sh", "js", "com", "app"}),
)
ANY_TEXT = st.text(st.characters(codec=None))
# Text of what makes cleaning hard: dots, spaces, separators, joiners, marks, and signs that normalise to ASCII.
TRICKY = st.text(
    st.sampled_from(". \u00a0\u3000/\\aKé\u212a\u037e\u0301\u0327\u200b\u200c\u200d\u202e\u094d\u0915🏳\ufe0f\n")
)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("/etc/passwd", "passwd"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\photo.jpg", "photo.jpg"),
        ("a/b\\c.txt", "c.txt"),
        ("  spaced out.txt \u3000", "spaced out.txt"),
        ("dots.txt. . .", "dots.txt"),
        (".gitignore", ".gitignore"),
        ("..hidden", "..hidden"),
        ("a\0b\tc\r\nd\x7f\x85.txt", "abcd.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("\u2066a\u2069\u061cb\u200e\u200f.txt", "ab.txt"),
        ("zero\u200bwidth\ufeff\u2060\u00ad.txt", "zerowidth.txt"),
        ("line\u2028para\u2029.txt", "linepara.txt"),
        ("tag\U000e0041\U000e0001.txt", "tag.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("e\u200b\u0301.txt", "\u00e9.txt"),
        ("\u1100\u1161.txt", "\uac00.txt"),
        ("CON.txt", "CON.txt"),
        ('a:b*c?d"e<f>g|h.txt', 'a:b*c?d"e<f>g|h.txt'),
        ("%2e%2e%2fpasswd", "%2e%2e%2fpasswd"),
        ("\uff0e\uff0fa.txt", "\uff0e\uff0fa.txt"),
        ("\u0600\u0661.txt", "\u0600\u0661.txt"),
        ("❤\ufe0f.txt", "❤\ufe0f.txt"),
    ],
)
def test_a_name_is_cleaned_and_otherwise_kept(raw: str, kept: str) -> None:
    assert clean_name(raw) == kept


@pytest.mark.parametrize("name", ["👩\u200d👩\u200d👧.jpg", "नमस\u200d्ते क\u094d\u200dष.txt", "می\u200cخواهم.pdf"])
def test_joiners_stay_where_they_shape_what_is_seen(name: str) -> None:
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("a.e\u200dx\u200ce", "a.exe"),
        ("\u200dé.txt", "é.txt"),
        ("é\u200d.txt", "é.txt"),
        ("é\u200d\u200dé", "éé"),
        ("é\u200d", "é"),
        ("é\u200d\u00a0", "é"),
        ("\u212a\u200dé", "Ké"),
    ],
)
def test_joiners_that_only_hide_go(raw: str, kept: str) -> None:
    assert clean_name(raw) == kept


@pytest.mark.parametrize(
    "raw", ["", ".", "..", "...", "   ", " . ", "a/", "a\\", "/", "\0", "\u202e", "\u200d", "dir/..", "/ "]
)
def test_a_name_of_nothing_is_refused(raw: str) -> None:
    with pytest.raises(InvalidInput, match="needs a name"):
        clean_name(raw)


@pytest.mark.parametrize("raw", ["a\ud800.txt", "\udfff", "\udcff/a.txt"])
def test_half_a_surrogate_pair_is_refused(raw: str) -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        clean_name(raw)


def test_a_name_may_have_255_bytes_and_not_one_more() -> None:
    assert clean_name("é" * 127 + "a") == "é" * 127 + "a"
    with pytest.raises(InvalidInput, match="256 bytes of UTF-8; at most 255"):
        clean_name("é" * 128)


def test_only_the_last_part_of_a_path_is_measured() -> None:
    assert clean_name("d" * 1000 + "/a.txt") == "a.txt"


def test_a_decomposed_name_is_measured_after_normalising() -> None:
    composed = "\u1f82" * 85
    assert len(composed.encode()) == NAME_BYTES
    assert clean_name(unicodedata.normalize("NFD", composed)) == composed


def test_an_endless_name_is_refused_before_it_is_normalised() -> None:
    with pytest.raises(InvalidInput, match="at most 255"):
        clean_name("a" + "\u0301\u0327" * 200_000)  # normalising this takes minutes


@given(ANY_TEXT | TRICKY)
def test_cleaning_twice_is_cleaning_once(raw: str) -> None:
    try:
        cleaned = clean_name(raw)
    except InvalidInput:
        return
    assert clean_name(cleaned) == cleaned
    assert 0 < len(cleaned.encode()) <= NAME_BYTES
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not re.search(r"[/\\\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", cleaned)
    assert cleaned not in {".", ".."}
    assert cleaned == cleaned.strip().rstrip(".")


def test_every_format_character_is_removed_unless_it_is_printed() -> None:
    printed = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
    kept = {
        point
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) in {"Cc", "Cf", "Zl", "Zp"}
        and point not in {ord("/"), 0x200C, 0x200D}
        and clean_name(f"a{chr(point)}b") != "ab"
    }
    assert kept <= printed


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Report.PDF", "report.pdf"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ÉTÉ", "été"),
        ("e\u0301", "é"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("ﬁle", "file"),
        ("ΣΊΣΥΦΟΣ", "σίσυφοσ"),
        ("İ", "i\u0307"),
        ("a\u200db\u00adc\ufe0f", "abc"),
        ("a\nb\0", "ab"),
        ("é\n\0", "é"),
        ("\ud800a", "a"),
        ("", ""),
    ],
)
def test_folding_drops_what_people_do_not_tell_apart(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_folding_any_character_twice_is_folding_it_once() -> None:
    points = [*range(0x32000), *range(0xE0000, 0xE1000)]  # the rest is private or not assigned
    for start in range(0, len(points), 4096):
        folded = fold(" ".join(map(chr, points[start : start + 4096])))
        assert fold(folded) == folded


@given(ANY_TEXT | TRICKY)
def test_folding_is_idempotent_and_gives_text_that_can_be_stored(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert "\0" not in folded
    folded.encode()


@given(st.text(max_size=30) | TRICKY.map(lambda text: text[:30]))
def test_folding_is_blind_to_the_form_of_normalisation(text: str) -> None:
    folded = fold(text)
    assert fold(unicodedata.normalize("NFC", text)) == folded
    assert fold(unicodedata.normalize("NFD", text)) == folded


@pytest.mark.parametrize("marks", ["\u0301\u0327", "\u0301\u200d\u0327", "\u0344\u0327"])
def test_folding_endless_marks_takes_no_time_to_speak_of(marks: str) -> None:
    began = time.thread_time()
    folded = fold("a" + marks * 50_000)
    assert time.thread_time() - began < 2  # 12 s by normalising alone
    assert fold(folded) == folded
    assert len(folded) <= 31


@pytest.mark.parametrize(
    ("name", "extensions", "last"),
    [
        ("a.txt", ("txt",), "txt"),
        ("A.TXT", ("txt",), "txt"),
        ("a.tar.gz", ("tar", "gz"), "gz"),
        ("README", (), ""),
        (".gitignore", ("gitignore",), ""),
        ("a.", (), ""),
        ("a..txt", ("txt",), "txt"),
        ("a.txt. .", ("txt",), "txt"),
        ("a.exe .txt", ("exe", "txt"), "txt"),
        ("a\uff0e\uff45\uff58\uff45", ("exe",), "exe"),
        ("a\u2024exe", ("exe",), "exe"),
        ("a.e\u200dxe", ("exe",), "exe"),
        ("", (), ""),
    ],
)
def test_extensions_stand_after_dots(name: str, extensions: tuple[str, ...], last: str) -> None:
    assert (extensions_of(name), extension_of(name)) == (extensions, last)


@pytest.mark.parametrize("name", ["a.txt", "A.PDF", "a.tar.gz", "app.json", "com.txt", "my.notes.v2.txt", "a.ｐｄｆ"])
def test_a_name_on_the_list_is_accepted(name: str) -> None:
    judge_extension(name, POLICY)


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.exe", "exe"),
        ("a.EXE", "exe"),
        ("report.exe.pdf", "exe"),
        ("a.sh.tar.gz", "sh"),
        (".exe.pdf", "exe"),
        (".exe", "exe"),
        ("a.exe .pdf", "exe"),
        ("a.exe.", "exe"),
        ("a.ｅｘｅ.pdf", "exe"),
        ("a．exe.pdf", "exe"),
        ("a.js", "js"),
        ("a.php", "php"),
        ("a.exe::$data", "exe::$data"),
        ("README", ""),
        (".pdf", ""),
        ("a.", ""),
        ("", ""),
    ],
)
def test_a_name_that_is_blocked_or_not_on_the_list_is_refused(name: str, extension: str) -> None:
    with pytest.raises(ExtensionNotAllowed) as refused:
        judge_extension(name, POLICY)
    assert refused.value.extension == extension
    assert refused.value.allowed == ("gz", "json", "pdf", "txt")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a.exe.pdf", "Files with the extension .exe are never accepted, whatever stands after it."),
        ("a.php", "Files with the extension .php are not accepted."),
        ("a", "The file's name needs an extension that says what the file is."),
    ],
)
def test_the_refusal_says_what_is_wrong(name: str, sentence: str) -> None:
    with pytest.raises(ExtensionNotAllowed, match=re.escape(sentence)):
        judge_extension(name, POLICY)
