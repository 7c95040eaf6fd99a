"""Boundaries and part heads, as real clients and hostile ones write them."""

import pytest

from api.envelope import EnvelopeBreach, MediaTypeUnsupported
from api.part_heads import PartHead, boundary_of, read_head, shortened

BOUNDARIES = {
    "multipart/form-data; boundary=abc": b"abc",
    "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW": b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
    "multipart/form-data; boundary=----formdata-undici-012345678901": b"----formdata-undici-012345678901",
    'multipart/form-data; boundary="a b:c"': b"a b:c",
    "Multipart/Form-Data;Boundary=abc": b"abc",
    "multipart/form-data ; boundary=abc ; charset=UTF-8": b"abc",
    "multipart/form-data; boundary=abc;": b"abc",
    "multipart/form-data; boundary=" + "x" * 70: b"x" * 70,
}

BAD_BOUNDARIES = {
    "multipart/form-data": "no boundary",
    "multipart/form-data; boundary=": "malformed",
    'multipart/form-data; boundary=""': "1 to 70",
    "multipart/form-data; boundary=" + "x" * 71: "1 to 70",
    'multipart/form-data; boundary="a\tb"': "does not allow",
    'multipart/form-data; boundary="ends with space "': "does not allow",
    'multipart/form-data; boundary="a\\"b"': "does not allow",
    "multipart/form-data; boundary=é": "does not allow",
    "multipart/form-data; boundary=☃": "does not allow",
    "multipart/form-data; boundary=a; boundary=b": "malformed",
    "multipart/form-data; boundary=a b": "malformed",
    'multipart/form-data; boundary="abc': "malformed",
    "multipart/form-data; =abc": "malformed",
}

FILENAMES = {
    b'filename="report.pdf"': "report.pdf",
    b"filename=report.pdf": "report.pdf",
    b'FileName="report.pdf"': "report.pdf",
    b'filename=""': "",
    'filename="naïve ☃.txt"'.encode(): "naïve ☃.txt",
    b'filename="na\xefve.txt"': "naïve.txt",
    b'filename="say %22hi%22.txt"': 'say "hi".txt',
    b'filename="two%0D%0Alines.txt"': "two\r\nlines.txt",
    b'filename="say \\"hi\\".txt"': 'say "hi".txt',
    b'filename="back\\\\slash.txt"': "back\\slash.txt",
    b'filename="C:\\folder\\name.txt"': "C:\\folder\\name.txt",
    b'filename="100% sure.txt"': "100% sure.txt",
    b'filename="50%25 off.txt"': "50%25 off.txt",
    b'filename="my%20report.pdf"': "my report.pdf",
    b'filename="na%C3%AFve.txt"': "naïve.txt",
    b'filename="na%EFve.txt"': "na%EFve.txt",
    b'filename="a;b=c.txt"': "a;b=c.txt",
    b"filename*=UTF-8''na%C3%AFve%20%E2%98%83.txt": "naïve ☃.txt",
    b"filename*=iso-8859-1'en'na%EFve.txt": "naïve.txt",
    b"filename=plain.txt; filename*=utf-8''better.txt": "better.txt",
    b"filename=plain.txt; filename*=nonsense": "plain.txt",
    b"filename=plain.txt; filename*=utf-8''%FF": "plain.txt",
    b"filename=plain.txt; filename*=koi8-r''x.txt": "plain.txt",
}

BAD_DISPOSITIONS = {
    b"": "malformed",
    b"form-data": "no name",
    b"form-data; filename=a": "no name",
    b"form-data; name*=utf-8''a": "no name",
    b"attachment; name=a": "not form-data",
    b"form-data; name=a; name=b": "malformed",
    b"form-data; name=a; filename=b; filename=c": "malformed",
    b'form-data; name="a': "malformed",
    b'form-data; name=a; filename="C:\\"': "malformed",
    b"form-data; name=a b": "malformed",
    b"form-data; name": "malformed",
    b"form-data, name=a": "malformed",
    b"form-data; name=a; filename*=nonsense": "filename*",
}

BAD_HEADS: dict[tuple[tuple[bytes, bytes], ...], tuple[type[EnvelopeBreach], str]] = {
    (): (EnvelopeBreach, "no Content-Disposition"),
    ((b"Content-Type", b"text/plain"),): (EnvelopeBreach, "no Content-Disposition"),
    ((b"A", b"form-data; name=a"),): (EnvelopeBreach, "no Content-Disposition"),
}

GOOD = (b"Content-Disposition", b'form-data; name="0"')


@pytest.mark.parametrize("content_type", BOUNDARIES)
def test_a_legal_boundary_is_found(content_type: str) -> None:
    assert boundary_of(content_type) == BOUNDARIES[content_type]


@pytest.mark.parametrize("content_type", BAD_BOUNDARIES)
def test_an_illegal_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(EnvelopeBreach, match=BAD_BOUNDARIES[content_type]):
        boundary_of(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/mixed; boundary=a",
        "application/json",
        "text/plain; boundary=a",
        "multipart/form-data; boundary=a; charset=utf-16",
        "multipart/form-data; boundary=a; charset=iso-8859-1",
    ],
)
def test_another_type_or_charset_is_not_supported(content_type: str) -> None:
    with pytest.raises(MediaTypeUnsupported):
        boundary_of(content_type)


@pytest.mark.parametrize("content_type", [None, "", ";", "multipart/", "/form-data; boundary=a", "\x00"])
def test_a_content_type_that_is_none_is_refused(content_type: str | None) -> None:
    with pytest.raises(EnvelopeBreach):
        boundary_of(content_type)


@pytest.mark.parametrize("parameter", FILENAMES)
def test_filenames_are_read_as_their_senders_meant_them(parameter: bytes) -> None:
    head = read_head(3, [(b"Content-Disposition", b'form-data; name="0"; ' + parameter)])
    assert head == PartHead(3, "0", FILENAMES[parameter])


@pytest.mark.parametrize("value", BAD_DISPOSITIONS)
def test_bad_dispositions_are_refused_with_the_number_of_the_part(value: bytes) -> None:
    with pytest.raises(EnvelopeBreach, match=r"(?i)part 4") as caught:
        read_head(4, [(b"Content-Disposition", value)])
    assert BAD_DISPOSITIONS[value] in caught.value.message


def test_a_head_says_its_type_charset_and_length() -> None:
    head = read_head(
        1,
        [GOOD, (b"CONTENT-TYPE", b" Application/JSON; charset=UTF-8"), (b"Content-Length", b"12"), (b"X-Other", b"1")],
    )
    assert head == PartHead(1, "0", None, "application/json", "utf-8", 12)


def test_names_are_decoded_like_filenames_of_browsers() -> None:
    assert read_head(1, [(b"Content-Disposition", b'form-data; name="a%22b"')]).name == 'a"b'


@pytest.mark.parametrize("encoding", [b"7bit", b"8bit", b"BINARY"])
def test_transfer_encodings_that_change_nothing_are_taken(encoding: bytes) -> None:
    assert read_head(1, [GOOD, (b"Content-Transfer-Encoding", encoding)]).name == "0"


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable", b"gzip", b""])
def test_transfer_encodings_that_change_bytes_are_not_supported(encoding: bytes) -> None:
    with pytest.raises(MediaTypeUnsupported, match="Part 2"):
        read_head(2, [GOOD, (b"Content-Transfer-Encoding", encoding)])


@pytest.mark.parametrize(
    "field",
    [
        (b"Content-Length", b"-1"),
        (b"Content-Length", b"1e3"),
        (b"Content-Length", b""),
        (b"Content-Length", b"9" * 19),
        (b"Content-Type", b"no type at all"),
        (b"Content-Type", b"text/" + b"x" * 251),
        (b"Content-Type", b'text/plain; charset="utf-8'),
        (b"content-disposition", b"form-data; name=other"),
        (b"X-Other", b"a\x00b"),
        (b"X-Other", b"a\nB: c"),
        (b"X-Other", b"\x7f"),
    ],
)
def test_other_headers_are_checked_too(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(EnvelopeBreach, match=r"(?i)part 7"):
        read_head(7, [GOOD, field])


@pytest.mark.parametrize("fields", BAD_HEADS)
def test_a_head_without_a_disposition_is_refused(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    kind, message = BAD_HEADS[fields]
    with pytest.raises(kind, match=message):
        read_head(1, fields)


def test_what_a_client_wrote_is_repeated_short_and_printable() -> None:
    assert shortened("a\x1b[31m\u202eb") == "a\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}b"
    assert len(shortened("x" * 1000)) == 80
