"""The gate with the real schema, rules and database: what it lets in, where it stops reading, what it leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from api.bodies import RequestInvalid
from api.envelope import EnvelopeBreach, EnvelopeLimits, MapInvalid, MediaTypeUnsupported, RequestTooLarge, SenderGone
from api.gate import Gate, Incoming
from db.engine import Database
from domain.errors import (
    DigestMismatch,
    ExtensionNotAllowed,
    FileTooLarge,
    InvalidInput,
    NotFound,
    NotSignedIn,
    Refusal,
    Unavailable,
)
from domain.policy import UploadPolicy
from domain.uploads import Received
from domain.viewer import NOBODY, Viewer
from schema.execution import Executor, QueryRefused
from schema.pricing import QueryLimits
from schema.schema import build_schema
from schema.uploads import UploadSlot, uploads_of
from storage.store import StoreFull
from tests.api.bodies import (
    BOUNDARY,
    CONTENT_TYPE,
    END,
    UPLOAD_MANY,
    UPLOAD_ONE,
    joined,
    json_part,
    operations,
    part,
    split,
    stream,
    upload,
    uploads,
)
from tests.api.memory import MemoryStore
from tests.records import add_person

FILE_LIMIT = 1000
REQUEST_LIMIT = 5000
MAP_ONE = json_part("map", {"0": ["variables.file"]})
ONE = [operations(UPLOAD_ONE, {"file": None}), MAP_ONE]


@dataclass(frozen=True, slots=True)
class Scene:
    """A gate with what it stands between."""

    gate: Gate
    store: MemoryStore
    viewer: Viewer


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    db = Database(sqlite_url)
    person = await add_person(db, "ada")
    store = MemoryStore()
    gate = Gate(
        Executor(build_schema(), QueryLimits(), lambda _error: None),
        db,
        store,
        UploadPolicy(FILE_LIMIT, 3, frozenset({"txt"}), frozenset({"exe"})),
        EnvelopeLimits(REQUEST_LIMIT, operations_bytes=1500, map_bytes=300),
    )
    yield Scene(gate, store, Viewer(person.id))
    await db.close()


def incoming(pieces: Iterable[bytes], length: int | None = None, content_type: str = CONTENT_TYPE) -> Incoming:
    return Incoming(content_type, length, stream(pieces))


@asynccontextmanager
async def received(scene: Scene, given: Incoming, viewer: Viewer | None = None) -> AsyncIterator[list[UploadSlot]]:
    async with scene.gate.receive(given, viewer or scene.viewer) as operation:
        yield uploads_of(scene.gate.executor.schema, operation.prepared, operation.variables)


async def outcomes(scene: Scene, given: Incoming, viewer: Viewer | None = None) -> list[Received | Refusal | None]:
    async with received(scene, given, viewer) as slots:
        found = [slot.outcome for slot in slots]
    assert scene.store.is_empty
    return found


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
        taken = slot.take()
    assert (taken.stored.size, taken.stored.digest) == (5, sha256(b"hello").hexdigest())
    assert (taken.admission.name, taken.admission.declared_media_type, taken.head) == ("a.txt", "text/plain", b"hello")
    assert list(scene.store.blobs.values()) == [b"hello"]


async def test_what_is_not_taken_is_removed(scene: Scene) -> None:
    [outcome] = await outcomes(scene, incoming([upload(b"hello")]))
    assert isinstance(outcome, Received)


async def test_what_is_not_taken_is_removed_when_execution_fails(scene: Scene) -> None:
    async def fail() -> None:
        async with received(scene, incoming([upload(b"hello")])):
            assert scene.store.blobs
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert scene.store.is_empty


async def test_files_may_come_in_any_order(scene: Scene) -> None:
    query = operations(UPLOAD_MANY, {"input": {"files": [{"file": None}, {"file": None}]}})
    mapping = json_part("map", {"a": ["variables.input.files.1.file"], "b": ["variables.input.files.0.file"]})
    body = joined(query, mapping, part("b", b"first", filename="b.txt"), part("a", b"second", filename="a.txt"))
    async with received(scene, incoming(split(body, 64))) as slots:
        assert [slot.take().head for slot in slots] == [b"first", b"second"]


async def test_one_part_with_two_paths_becomes_two_files(scene: Scene) -> None:
    query = operations(UPLOAD_MANY, {"input": {"files": [{"file": None}, {"file": None, "name": "other.txt"}]}})
    mapping = json_part("map", {"0": [f"variables.input.files.{index}.file" for index in range(2)]})
    async with received(scene, incoming([joined(query, mapping, part("0", b"twice", filename="a.txt"))])) as slots:
        taken = [slot.take() for slot in slots]
    assert [(each.admission.name, each.head) for each in taken] == [("a.txt", b"twice"), ("other.txt", b"twice")]
    assert len({each.stored.key for each in taken}) == len(scene.store.blobs) == 2


async def test_a_part_in_the_map_is_a_file_whatever_its_head_says(scene: Scene) -> None:
    query = operations(UPLOAD_ONE.replace("file: $file", 'file: $file, name: "n.txt"'), {"file": None})
    async with received(scene, incoming([joined(query, MAP_ONE, part("0", b"plain"))])) as [slot]:
        assert slot.take().head == b"plain"


async def test_an_operation_without_files_passes(scene: Scene) -> None:
    body = joined(operations("{ viewer { id } }"), json_part("map", {}))
    async with scene.gate.receive(incoming([body]), NOBODY) as operation:
        assert operation.variables.coerced == {}


@pytest.mark.parametrize(
    ("name", "content", "given", "kind"),
    [
        ("a.exe", b"x", {}, ExtensionNotAllowed),
        ("", b"x", {}, InvalidInput),
        ("a.txt", b"x", {"digest": "0" * 64}, DigestMismatch),
        ("a.txt", b"x", {"digest": "short"}, InvalidInput),
        ("a.txt", b"x", {"workspaceId": "wsp_" + "0" * 32}, NotFound),
        ("a.txt", b"x" * (FILE_LIMIT + 1), {}, FileTooLarge),
    ],
)
async def test_a_fault_of_one_file_leaves_the_others_alone(
    scene: Scene, name: str, content: bytes, given: dict[str, Any], kind: type[Refusal]
) -> None:
    for position in range(3):
        inputs = [{"file": None, **(given if index == position else {})} for index in range(3)]
        mapping = {str(index): [f"variables.input.files.{index}.file"] for index in range(3)}
        parts = [
            part(str(index), content if index == position else b"ok", filename=name if index == position else "b.txt")
            for index in range(3)
        ]
        body = joined(operations(UPLOAD_MANY, {"input": {"files": inputs}}), json_part("map", mapping), *parts)
        found = await outcomes(scene, incoming(split(body, 100)))
        assert [type(outcome) for outcome in found] == [kind if index == position else Received for index in range(3)]


async def reads_only(scene: Scene, decisive: bytes, length: int | None = None, viewer: Viewer | None = None) -> Refusal:
    """The refusal of the only file, decided by these bytes: asking for more fails."""

    async def chunks() -> AsyncIterator[bytes]:
        yield decisive
        pytest.fail("the gate asked for more than it needed to decide")

    [outcome] = await outcomes(scene, Incoming(CONTENT_TYPE, length, chunks()), viewer)
    assert isinstance(outcome, Refusal)
    return outcome


async def test_nothing_is_read_after_the_map_for_somebody_who_may_not(scene: Scene) -> None:
    head = b"\r\n".join([*ONE, b""]) + NEXT
    assert isinstance(await reads_only(scene, head, viewer=NOBODY), NotSignedIn)
    assert scene.store.created == 0


async def test_nothing_is_read_after_the_head_of_the_last_file_with_a_wrong_name(scene: Scene) -> None:
    head = b"\r\n".join([*ONE, part("0", b"", filename="a.exe")])
    assert isinstance(await reads_only(scene, head), ExtensionNotAllowed)
    assert scene.store.created == 0


async def test_nothing_is_read_of_a_file_that_declares_too_much(scene: Scene) -> None:
    size = f"Content-Length: {FILE_LIMIT + 1}\r\n".encode()
    head = b"\r\n".join([*ONE, part("0", b"", filename="a.txt", head=size)])
    assert isinstance(await reads_only(scene, head), FileTooLarge)
    assert scene.store.created == 0


async def test_nothing_is_read_of_a_last_file_for_which_the_request_declares_too_much(scene: Scene) -> None:
    head = b"\r\n".join([*ONE, part("0", b"", filename="a.txt")])
    assert isinstance(await reads_only(scene, head, len(head) + FILE_LIMIT + 1 + len(END)), FileTooLarge)
    assert scene.store.created == 0


async def test_a_file_of_exactly_the_limit_is_received(scene: Scene) -> None:
    body = upload(b"x" * FILE_LIMIT)
    assert isinstance((await outcomes(scene, incoming([body], len(body))))[0], Received)


async def test_reading_ends_at_the_first_byte_too_many(scene: Scene) -> None:
    begun = b"\r\n".join([*ONE, part("0", b"x" * (FILE_LIMIT + 1), filename="a.txt")])
    assert isinstance(await reads_only(scene, begun), FileTooLarge)


async def test_reading_ends_when_only_refused_files_remain(scene: Scene) -> None:
    body = uploads([b"good", b""], ["a.txt", "b.exe"]).removesuffix(END)

    async def chunks() -> AsyncIterator[bytes]:
        yield body
        pytest.fail("the gate asked for more than it needed to decide")

    found = await outcomes(scene, Incoming(CONTENT_TYPE, None, chunks()))
    assert [type(outcome) for outcome in found] == [Received, ExtensionNotAllowed]


async def test_a_full_store_is_told_of_the_file(scene: Scene) -> None:
    scene.store.fault = StoreFull()
    [outcome] = await outcomes(scene, incoming([upload(b"hello")]))
    assert isinstance(outcome, Unavailable)


async def test_a_fault_of_the_store_is_no_refusal_and_leaves_nothing(scene: Scene) -> None:
    scene.store.fault = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await outcomes(scene, incoming([uploads([b"a", b"b"], ["a.txt", "b.txt"])]))
    assert scene.store.is_empty


async def test_a_store_that_cannot_remove_does_not_change_the_answer(scene: Scene) -> None:
    async with received(scene, incoming([uploads([b"a", b"b"], ["a.txt", "b.txt"])])) as slots:
        scene.store.broken.add(slots[0].outcome.stored.key)  # type: ignore[union-attr]
    assert list(scene.store.blobs) == list(scene.store.broken)


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
