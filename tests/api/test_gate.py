"""The gate with the real schema, rules and database: what it lets in, where it stops reading, what it leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest

from api.bodies import RequestInvalid
from api.envelope import EnvelopeBreach, MapInvalid, MediaTypeUnsupported, RequestTooLarge, SenderGone
from api.gate import Incoming
from schema.execution import QueryRefused
from tests.api.bodies import (
    BOUNDARY,
    CONTENT_TYPE,
    END,
    UPLOAD_MANY,
    UPLOAD_ONE,
    json_part,
    operations,
    part,
    split,
    upload,
    uploads,
)
from tests.api.gated import FILE_LIMIT, MAP_ONE, ONE, REQUEST_LIMIT, Scene, incoming, outcomes, received, scene_on, take


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with scene_on(sqlite_url) as scene:
        yield scene


async def breach(scene: Scene, *decisive: bytes, length: int | None = None) -> EnvelopeBreach:
    """The breach that these bytes alone decide: asking for more fails."""

    async def chunks() -> AsyncIterator[bytes]:
        for piece in split(b"".join(decisive), 50):
            yield piece
        pytest.fail("the gate asked for more than it needed to decide")

    with pytest.raises(EnvelopeBreach) as caught:
        async with scene.gate.receive(Incoming(CONTENT_TYPE, length, chunks()), scene.viewer):
            pass
    assert scene.store.is_empty
    return caught.value


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
async def test_a_file_is_received_and_kept_when_it_is_taken(scene: Scene, size: int) -> None:
    async with received(scene, incoming(split(upload(b"hello"), size))) as [slot]:
        taken = take(slot)
    assert (taken.stored.size, taken.stored.digest) == (5, sha256(b"hello").hexdigest())
    assert (taken.admission.name, taken.admission.declared_media_type, taken.head) == ("a.txt", "text/plain", b"hello")
    assert list(scene.store.blobs.values()) == [b"hello"]


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [("multipart/form-data", EnvelopeBreach), ("multipart/mixed; boundary=a", MediaTypeUnsupported)],
)
async def test_nothing_is_read_without_a_boundary(scene: Scene, content_type: str, kind: type[EnvelopeBreach]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        pytest.fail("the gate read the body")
        yield b""

    with pytest.raises(kind):
        async with scene.gate.receive(Incoming(content_type, None, chunks()), scene.viewer):
            pass


async def test_nothing_is_read_of_a_request_that_declares_too_much(scene: Scene) -> None:
    caught = await breach(scene, length=REQUEST_LIMIT + 1)
    assert isinstance(caught, RequestTooLarge)
    assert caught.message == f"The request has {REQUEST_LIMIT + 1} bytes; {REQUEST_LIMIT} are allowed."


async def test_a_request_that_declares_nothing_is_counted(scene: Scene) -> None:
    body = uploads([b"x" * FILE_LIMIT] * 3, ["a.txt"] * 3).removesuffix(END)
    filler = b"y" * (REQUEST_LIMIT + 50 - len(body))
    assert isinstance(await breach(scene, body, b"\r\n", part("9", filler)), (MapInvalid, RequestTooLarge))
    many = uploads([b"x" * 2000] * 3, ["a.exe", "b.exe", "c.txt"])
    assert isinstance(await breach(scene, many[: REQUEST_LIMIT + 50]), RequestTooLarge)


NEXT = b"--" + BOUNDARY + b"\r\n"
HEAD_OF_OTHER = part("other", b"", filename="a.txt")

BREACHES: dict[str, tuple[list[bytes], type[EnvelopeBreach], str]] = {
    "map first": ([part("map", b"")], EnvelopeBreach, "Part 1 (“map”) comes where “operations” must"),
    "file first": ([part("0", b"", filename="a.txt")], EnvelopeBreach, "Part 1 (“0”) comes where “operations” must"),
    "file second": ([ONE[0], part("0", b"", filename="a.txt")], EnvelopeBreach, "Part 2 (“0”) comes where “map” must"),
    "operations twice": ([ONE[0], part("operations", b"")], EnvelopeBreach, "“map” must"),
    "nothing": ([END[2:-2]], EnvelopeBreach, "ends before the part “operations”"),
    "operations only": ([ONE[0], END[2:-2]], EnvelopeBreach, "ends before the part “map”"),
    "large operations": (
        [part("operations", b" " * 1501)],
        RequestTooLarge,
        "Part 1 (“operations”) is larger than 1500",
    ),
    "large map": ([ONE[0], part("map", b" " * 301)], RequestTooLarge, "Part 2 (“map”) is larger than 300 bytes"),
    "operations in latin-1": (
        [part("operations", b"", head=b"Content-Type: application/json; charset=latin-1\r\n")],
        MediaTypeUnsupported,
        "Part 1 (“operations”) is not in UTF-8",
    ),
    "batch": ([json_part("operations", [{"query": "{ viewer { id } }"}]), NEXT], RequestInvalid, "batches"),
    "no query": ([json_part("operations", {}), NEXT], RequestInvalid, "“query”"),
    "variables": ([json_part("operations", {"query": "", "variables": []}), NEXT], RequestInvalid, "“variables”"),
    "map of nothing": ([ONE[0], json_part("map", []), NEXT], EnvelopeBreach, "“map” is a list"),
    "path": ([ONE[0], json_part("map", {"0": ["file"]}), NEXT], MapInvalid, "does not begin"),
    "not in map": ([*ONE, HEAD_OF_OTHER], MapInvalid, "Part 3 (“other”) is not in “map”"),
    "not in map, later": ([*ONE, part("0", b"x", filename="a.txt"), HEAD_OF_OTHER], MapInvalid, "Part 4 (“other”)"),
    "repeated": (
        [*ONE, part("0", b"x", filename="a.txt"), part("0", b"", filename="b.txt")],
        EnvelopeBreach,
        "Part 4 (“0”) comes a second time",
    ),
    "missing": ([*ONE, END[2:-2]], EnvelopeBreach, "parts that are missing: “0”"),
    "bad encoding": (
        [*ONE, part("0", b"", filename="a.txt", head=b"Content-Transfer-Encoding: base64\r\n")],
        MediaTypeUnsupported,
        "Part 3",
    ),
    "too many": (
        [
            operations(UPLOAD_MANY, {"input": {"files": [{"file": None}] * 4}}),
            json_part("map", {"0": [f"variables.input.files.{index}.file" for index in range(4)]}),
            NEXT,
        ],
        RequestTooLarge,
        "names 4 files; 3 are allowed",
    ),
    "skipped": (
        [
            operations(
                "mutation ($file: Upload!) { uploadFile(input: {file: $file}) @skip(if: true) { problems { code } } }",
                {"file": None},
            ),
            MAP_ONE,
            NEXT,
        ],
        MapInvalid,
        "does not read the file at variables.file",
    ),
    "used twice": (
        [
            operations(
                UPLOAD_ONE.replace("uploadFile(", "a: uploadFile(input: {file: $file}) { file { id } } b: uploadFile("),
                {"file": None},
            ),
            MAP_ONE,
            NEXT,
        ],
        MapInvalid,
        "used 2 times",
    ),
}


@pytest.mark.parametrize("name", BREACHES)
async def test_a_breach_of_the_envelope_is_decided_by_its_first_byte(scene: Scene, name: str) -> None:
    pieces, kind, message = BREACHES[name]
    caught = await breach(scene, b"\r\n".join(pieces))
    assert (type(caught), message in caught.message) == (kind, True), caught.message


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("mutation {", {"file": None}),
        ("mutation { nothing }", {"file": None}),
        (UPLOAD_ONE, {}),
        (UPLOAD_ONE, {"file": "text"}),
    ],
)
async def test_the_document_and_its_variables_are_judged_before_files(
    scene: Scene, query: str, variables: dict[str, Any]
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"\r\n".join([operations(query, variables), json_part("map", {}), NEXT])
        pytest.fail("the gate asked for more than it needed to decide")

    with pytest.raises(QueryRefused):
        async with scene.gate.receive(Incoming(CONTENT_TYPE, None, chunks()), scene.viewer):
            pass


async def test_a_cut_connection_leaves_nothing_wherever_it_is_cut(scene: Scene) -> None:
    body = uploads([b"first" * 20, b"second" * 20], ["a.txt", "b.txt"])
    for cut in range(0, len(body) - len("--\r\n"), 13):

        async def chunks(end: int = cut) -> AsyncIterator[bytes]:
            for piece in split(body[:end], 100):
                yield piece
            raise SenderGone

        with pytest.raises(SenderGone):
            await outcomes(scene, Incoming(CONTENT_TYPE, len(body), chunks()))
        assert scene.store.is_empty


async def cancel(scene: Scene, given: Incoming, reached: asyncio.Event) -> None:
    async def serve() -> None:
        async with received(scene, given):
            reached.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(serve())
    await reached.wait()
    assert not scene.store.is_empty
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scene.store.is_empty


async def test_a_cancelled_request_leaves_nothing_even_if_it_is_cancelled_again(scene: Scene) -> None:
    hanging = asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield upload(b"hello").removesuffix(END)
        hanging.set()
        await asyncio.sleep(60)

    await cancel(scene, Incoming(CONTENT_TYPE, None, hangs()), hanging)
    await cancel(scene, incoming([upload(b"hello")]), asyncio.Event())
