"""The multipart reader: what it makes of bodies, however they are cut, and where it stops."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.envelope import EnvelopeBreach, MediaTypeUnsupported, RequestTooLarge
from api.multipart import MultipartReader, PartEnd, PartLimits
from api.part_heads import PartHead
from tests.api.bodies import BOUNDARY, END, joined, part, split, stream

DELIMITER = b"\r\n--" + BOUNDARY


async def parts_of(pieces: Iterable[bytes], limits: PartLimits | None = None) -> list[tuple[PartHead, bytes]]:
    reader = MultipartReader(stream(pieces), BOUNDARY, limits)
    found: list[tuple[PartHead, bytes]] = []
    head, content, is_open = PartHead(0, ""), b"", False
    while (event := await reader.next()) is not None:
        if isinstance(event, PartHead):
            head, content, is_open = event, b"", True
        elif isinstance(event, PartEnd):
            found.append((head, content))
            is_open = False
        else:
            assert is_open
            content += event
    assert not is_open
    assert await reader.next() is None
    return found


async def refusal_of(body: bytes, limits: PartLimits | None = None) -> EnvelopeBreach:
    messages = set()
    for size in (1, 7, 64, max(1, len(body))):
        with pytest.raises(EnvelopeBreach) as caught:
            await parts_of(split(body, size), limits)
        messages.add((type(caught.value), caught.value.message))
    assert len(messages) == 1, messages
    return caught.value


CONTENTS = [
    b"",
    b"hello",
    b"\r",
    b"\r\n",
    b"\r\n--",
    b"--",
    DELIMITER[:-1],
    b"a" + DELIMITER[:-1] + b"\r\n",
    DELIMITER[:-1] * 3,
    DELIMITER + b"X",
    DELIMITER + b"-X",
    DELIMITER + b"\rX",
    b"--" + BOUNDARY,
    b"\r" * 100,
    b"\r\n" * 100,
    bytes(range(256)) * 20,
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 61, 64, 10_000])
@pytest.mark.parametrize("content", CONTENTS)
async def test_content_arrives_unchanged_however_it_is_cut(content: bytes, size: int) -> None:
    body = joined(part("a", content), part("b", content, filename="b.txt"), part("c", b"last"))
    found = await parts_of(split(body, size))
    assert [(head.name, head.filename, data) for head, data in found] == [
        ("a", None, content),
        ("b", "b.txt", content),
        ("c", None, b"last"),
    ]


def is_content(data: bytes) -> bool:
    """Whether no delimiter is inside, nor comes to be by what follows."""
    return not any(DELIMITER + end in data + DELIMITER for end in (b"\r\n", b"--"))


@given(
    contents=st.lists(
        st.lists(st.sampled_from([*CONTENTS, b"x", b"-", b"\n"]), max_size=6).map(b"".join).filter(is_content),
        max_size=4,
    ),
    size=st.integers(1, 200),
)
async def test_any_content_in_any_pieces_arrives(contents: list[bytes], size: int) -> None:
    body = joined(*(part(str(index), content) for index, content in enumerate(contents))) if contents else END[2:]
    assert [data for _, data in await parts_of(split(body, size))] == contents


@given(body=st.binary(max_size=300), size=st.integers(1, 50), prefix=st.integers(0, 200))
async def test_any_bytes_are_read_or_refused(body: bytes, size: int, prefix: int) -> None:
    whole = joined(part("a", b"content", filename="x"), part("b", b""))
    for garbled in (body, whole[:prefix] + body, whole[:prefix] + body + whole[prefix:]):
        try:
            await parts_of(split(garbled, size))
        except EnvelopeBreach as breach:
            assert breach.status in {400, 413, 415}  # noqa: PT017 - reading it is as good


async def test_parts_are_numbered() -> None:
    found = await parts_of([joined(part("a", b""), part("b", b""))])
    assert [(head.number, str(head)) for head, _ in found] == [(1, "Part 1 (“a”)"), (2, "Part 2 (“b”)")]


@pytest.mark.parametrize("epilogue", [b"", b"\r\n", b"anything at all", b"\r\n--" + BOUNDARY + b"\r\n"])
async def test_what_follows_the_final_boundary_is_not_read(epilogue: bytes) -> None:
    whole = b"\r\n".join([part("a", b"1")]) + END[:-2]
    reader = MultipartReader(stream([whole + epilogue]), BOUNDARY)
    while await reader.next() is not None:
        pass
    assert reader.position == len(whole)


async def test_empty_chunks_and_leading_line_breaks_do_no_harm() -> None:
    body = joined(part("a", b"1"))
    assert len(await parts_of([b"", b"\r\n", b"", body[:10], b"", body[10:], b""])) == 1


async def test_spaces_after_a_boundary_are_padding() -> None:
    body = part("a", b"1") + DELIMITER + b" \t \r\n" + part("b", b"2")[len(BOUNDARY) + 4 :] + END
    for size in (1, 1000):
        assert [data for _, data in await parts_of(split(body, size))] == [b"1", b"2"]


async def test_nothing_is_parsed_beyond_the_event_that_was_asked_for() -> None:
    first, second = part("a", b"first") + b"\r\n", part("b", b"second", filename="x") + b"\r\n"
    reader = MultipartReader(stream([first + second + b"this would be \x00 malformed" * 1000]), BOUNDARY)
    assert isinstance(await reader.next(), PartHead)
    assert reader.position == len(part("a", b""))
    assert await reader.field(100) == b"first"
    assert reader.position == len(first) + len(BOUNDARY) + 4
    assert isinstance(await reader.next(), PartHead)
    assert reader.position == len(first) + len(part("b", b"", filename="x"))


async def test_nothing_is_received_before_it_is_needed() -> None:
    asked = []

    async def chunks() -> object:
        for index, piece in enumerate(split(joined(part("a", b"x" * 100)), 40)):
            asked.append(index)
            yield piece

    reader = MultipartReader(chunks(), BOUNDARY)  # type: ignore[arg-type]
    assert not asked
    await reader.next()
    assert asked == [0, 1]


@pytest.mark.parametrize("size", [0, 1, 99, 100])
async def test_a_field_within_its_limit_is_read_whole(size: int) -> None:
    reader = MultipartReader(stream([joined(part("a", b"x" * size))]), BOUNDARY)
    await reader.next()
    assert await reader.field(100) == b"x" * size
    assert await reader.next() is None


@pytest.mark.parametrize("size", [101, 100_000])
async def test_a_field_over_its_limit_is_refused_at_the_first_byte_too_many(size: int) -> None:
    reader = MultipartReader(stream([joined(part("a", b"x" * size))]), BOUNDARY)
    await reader.next()
    begin = reader.position
    with pytest.raises(RequestTooLarge, match=r"Part 1 .“a”. is larger than 100 bytes"):
        await reader.field(100)
    assert reader.position == begin + 101


async def test_a_field_that_begins_like_the_boundary_is_no_larger_for_it() -> None:
    content = DELIMITER[:-1] * 3
    for size in (1, 10_000):
        reader = MultipartReader(stream(split(joined(part("a", content)), size)), BOUNDARY)
        await reader.next()
        assert await reader.field(len(content)) == content


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"--",
        b"--" + BOUNDARY,
        b"--" + BOUNDARY + b"\r\n",
        b"--" + BOUNDARY + b"\r\nContent-Disposition: form-da",
        part("a", b""),
        part("a", b"content"),
        part("a", b"content") + b"\r\n--" + BOUNDARY,
        part("a", b"content") + b"\r\n--" + BOUNDARY + b"-",
        part("a", b"content") + b"\r\n--" + BOUNDARY + b"\r\n",
        part("a", b"content") + b"\r\n" + part("b", b"more"),
    ],
)
async def test_a_body_that_is_cut_short_is_refused(body: bytes) -> None:
    assert "cut short" in (await refusal_of(body)).message


@pytest.mark.parametrize(
    "body",
    [
        b"preamble\r\n" + joined(part("a", b"")),
        joined(part("a", b"")).replace(b"\r\n", b"\n"),
        joined(part("a", b"")).replace(BOUNDARY, b"other-boundary"),
        b"--" + BOUNDARY + b"x\r\n" + END,
        b"--" + BOUNDARY + b"\rx\r\n" + END,
        b"--" + BOUNDARY + b"-x",
        b'{"query": "{ viewer { id } }"}',
        part("a", b"", head=b"No colon here\r\n") + END,
        part("a", b"", head=b": no name\r\n") + END,
        part("a", b"", head=b" folded: line\r\n") + END,
        part("a", b"", head=b"Bad Name: x\r\n") + END,
        part("a", b"", head=b"\xff: x\r\n") + END,
        part("a", b"", head=b"A: b\rc\r\n") + END,
        b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; name=a\r\n\rx" + END,
        part("a", b"1") + DELIMITER + b" x\r\n" + END,
    ],
)
async def test_what_is_not_multipart_is_refused(body: bytes) -> None:
    assert "malformed" in (await refusal_of(body)).message


async def test_line_feeds_alone_do_not_hide_a_header() -> None:
    breach = await refusal_of(part("a", b"", head=b"X: 1\nContent-Length: 4\r\n") + END)
    assert "control characters" in breach.message


async def test_a_part_must_have_the_length_that_it_declares() -> None:
    assert len(await parts_of([joined(part("a", b"1234", head=b"Content-Length: 4\r\n"))])) == 1
    breach = await refusal_of(joined(part("a", b"123", head=b"Content-Length: 4\r\n")))
    assert breach.message == "Part 1 (“a”) has 3 bytes and declared 4."


async def test_another_transfer_encoding_is_refused_with_the_part_that_has_it() -> None:
    breach = await refusal_of(joined(part("a", b""), part("b", b"", head=b"Content-Transfer-Encoding: base64\r\n")))
    assert isinstance(breach, MediaTypeUnsupported)
    assert "Part 2" in breach.message


@pytest.mark.parametrize("line", [b"X: " + b"y" * 500 + b"\r\n", b"X" * 500 + b": y\r\n", b"X: y\r\n" * 100])
async def test_a_head_over_its_limit_is_refused(line: bytes) -> None:
    limits = PartLimits(head_bytes=300, headers=1000)
    breach = await refusal_of(joined(part("a", b"1"), part("b", b"2", head=line)), limits)
    assert isinstance(breach, RequestTooLarge)
    assert breach.message == "The head of part 2 is larger than 300 bytes."


async def test_padding_and_leading_line_breaks_count_as_head() -> None:
    limits = PartLimits(head_bytes=300)
    padded = part("a", b"1") + DELIMITER + b" " * 500 + b"\r\n" + part("b", b"2")[len(BOUNDARY) + 4 :] + END
    for body in (padded, b"\r\n" * 500 + joined(part("a", b""))):
        for size in (1, 1000):
            with pytest.raises(RequestTooLarge, match="larger than 300 bytes"):
                await parts_of(split(body, size), limits)


async def test_headers_and_parts_are_counted() -> None:
    assert len(await parts_of([joined(part("a", b"", head=b"X: 1\r\n"))], PartLimits(headers=2))) == 1
    breach = await refusal_of(joined(part("a", b"", head=b"X: 1\r\nY: 1\r\n")), PartLimits(headers=2))
    assert breach.message == "The head of part 1 has more than 2 headers."
    three = joined(part("a", b""), part("b", b""), part("c", b""))
    assert len(await parts_of([three], PartLimits(parts=3))) == 3
    breach = await refusal_of(three, PartLimits(parts=2))
    assert breach.message == "The request has more than 2 parts."


@pytest.mark.parametrize("content", [DELIMITER[:-1], DELIMITER + b"x", b"\r\n--", b"\r", DELIMITER + b"-"])
async def test_what_resembles_a_delimiter_comes_in_pieces_as_large_as_anything_else(content: bytes) -> None:
    body = joined(part("a", content * 5000))
    reader = MultipartReader(stream(split(body, 10_000)), BOUNDARY)
    pieces = 0
    received = bytearray()
    while (event := await reader.next()) is not None:
        if isinstance(event, bytes):
            pieces += 1
            received += event
    assert received == content * 5000
    assert pieces <= 3 * (len(body) // 10_000 + 1)
