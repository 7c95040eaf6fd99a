import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import media_types
from domain.media import (
    HEAD_BYTES,
    Inspection,
    agrees,
    inline_allowed,
    inspect,
    media_types_of,
    safe_media_type,
)
from tests.domain.samples import AGREEING, CONTRADICTING, ELF, WORD, png

DEFAULT_EXTENSIONS = [
    *("pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "txt", "csv", "json", "xml", "md"),
    *("jpg", "jpeg", "png", "gif", "bmp", "webp", "mp4", "avi", "mov", "wmv", "mp3", "wav", "ogg"),
    *("zip", "rar", "7z", "tar", "gz"),
]
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(("name", "head", "media_type"), AGREEING, ids=[name for name, _, _ in AGREEING])
def test_a_file_that_is_what_its_name_says_is_accepted(name: str, head: bytes, media_type: str) -> None:
    found = inspect(name, head)
    assert (found.agrees, found.media_type) == (True, media_type)


@pytest.mark.parametrize(("name", "head", "detected"), CONTRADICTING, ids=[name for name, _, _ in CONTRADICTING])
def test_a_file_that_is_something_else_is_told_what_it_is(name: str, head: bytes, detected: str) -> None:
    found = inspect(name, head)
    assert (found.agrees, found.detected, found.media_type) == (False, detected, detected)


def test_a_refusal_can_name_everything() -> None:
    assert inspect("a.jpg", ELF) == Inspection(
        media_type="application/x-executable",
        agrees=False,
        detected="application/x-executable",
        allowed=("image/jpeg",),
    )


def test_every_accepted_kind_of_the_default_list_has_a_sample() -> None:
    sampled = {name.rpartition(".")[2].lower() for name, _, _ in AGREEING}
    assert set(DEFAULT_EXTENSIONS) - sampled == set()


@given(st.text(), st.binary())
def test_no_name_and_no_bytes_break_the_inspection(name: str, head: bytes) -> None:
    assert inspect(name, head).media_type.count("/") == 1


@given(st.sampled_from(DEFAULT_EXTENSIONS), st.binary())
def test_what_agrees_is_recorded_as_a_type_that_the_extension_allows(extension: str, head: bytes) -> None:
    found = inspect(f"a.{extension}", head)
    assert found.allowed == media_types_of(extension)
    assert not found.agrees or found.media_type in found.allowed


def test_a_full_head_of_text_is_inspected_like_a_short_one() -> None:
    assert inspect("a.txt", b"a" * HEAD_BYTES).agrees
    assert not inspect("a.txt", b"a" * (HEAD_BYTES - 1) + b"\0").agrees


@pytest.mark.parametrize("extension", DEFAULT_EXTENSIONS)
def test_every_default_extension_has_its_own_media_type(extension: str) -> None:
    assert media_types_of(extension)
    assert agrees(f"a.{extension}", media_types_of(extension)[0])


def test_an_unheard_of_extension_has_no_media_types() -> None:
    assert media_types_of("dwg") == ()
    assert media_types_of("") == ()


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("a.jpeg", "image/jpeg", True),
        ("a.png", "image/jpeg", False),
        ("a.md", "text/plain", True),
        ("a.json", "text/csv", True),
        ("a.txt", "image/jpeg", False),
        ("a.pdf", "text/plain", False),
        ("a.zip", DOCX, True),
        ("a.docx", "application/zip", False),
        ("a.mov", "video/quicktime", True),
        ("a.dwg", "image/jpeg", True),
        ("a.dwg", "text/html", False),
        ("a", "image/jpeg", True),
    ],
)
def test_a_new_name_must_agree_with_the_media_type(name: str, media_type: str, *, expected: bool) -> None:
    assert agrees(name, media_type) is expected


@pytest.mark.parametrize(("name", "head", "media_type"), AGREEING, ids=[name for name, _, _ in AGREEING])
def test_a_file_may_always_keep_its_extension(name: str, head: bytes, media_type: str) -> None:
    assert head is not None
    assert agrees(f"renamed {name}", media_type)


def test_an_extension_is_either_text_or_not() -> None:
    assert media_types.TEXTS.keys() & media_types.BINARIES.keys() == set()
    assert media_types.SCRIPTS.issubset(media_types.TEXTS)
    assert media_types.TAKEN_AS_OWN.keys() <= media_types.BINARIES.keys()


def test_synonyms_lead_to_names_that_have_none() -> None:
    assert media_types.SYNONYMS.keys() & set(media_types.SYNONYMS.values()) == set()
    listed = {media_type for allowed in media_types.BINARIES.values() for media_type in allowed}
    assert media_types.SYNONYMS.keys() & (listed | media_types.DANGEROUS | media_types.SAFE) == set()


@pytest.mark.parametrize(
    "active", ["text/html", "application/xhtml+xml", "image/svg+xml", "application/xml", "text/css", "text/javascript"]
)
def test_what_a_browser_could_run_leaves_as_octets_and_never_inline(active: str) -> None:
    assert safe_media_type(active) == "application/octet-stream"
    assert not inline_allowed(active)


@pytest.mark.parametrize("spelt", ["IMAGE/PNG", "image/png;charset=x", "image/png\r\nX: y", "", "x"])
def test_only_exact_names_are_sent(spelt: str) -> None:
    assert safe_media_type(spelt) == "application/octet-stream"
    assert not inline_allowed(spelt)


def test_what_is_shown_inline_is_sent_under_its_name() -> None:
    assert media_types.INLINE.issubset(media_types.SAFE)
    assert safe_media_type("image/png") == "image/png"
    assert inline_allowed("image/png")


def test_dangerous_types_are_not_sent_under_their_names() -> None:
    assert media_types.DANGEROUS.isdisjoint(media_types.SAFE)


@pytest.mark.parametrize("extension", sorted(set(DEFAULT_EXTENSIONS) - {"xml"}))
def test_every_default_extension_but_xml_is_sent_under_its_name(extension: str) -> None:
    for media_type in media_types_of(extension):
        assert safe_media_type(media_type) == media_type


def test_a_name_in_capitals_or_full_width_letters_is_judged_alike() -> None:
    assert inspect("A.PNG", png()).agrees
    assert inspect("a\uff0e\uff50\uff4e\uff47", png()).agrees
    assert not inspect("a.DOCX", WORD[:100]).agrees
