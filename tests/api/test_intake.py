"""Uploads on their way in: which are received, which are refused and where, and what is left behind."""

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from api.envelope import SenderGone
from api.gate import Incoming
from db.rates import Rate
from db.rows import FileRow
from domain.errors import (
    DigestMismatch,
    ExtensionNotAllowed,
    FileTooLarge,
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    NotSignedIn,
    RateLimited,
    Refusal,
    Unavailable,
)
from domain.events import RequestFacts
from domain.new_files import Upload, create_files
from domain.policy import Limit
from domain.repeated_uploads import Repeated
from domain.uploads import Received
from domain.viewer import NOBODY, Viewer
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
    upload,
    uploads,
)
from tests.api.gated import FILE_LIMIT, MAP_ONE, ONE, Scene, incoming, outcomes, received, scene_on, take
from tests.records import Tally


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with scene_on(sqlite_url) as scene:
        yield scene


async def test_what_is_not_taken_is_removed(scene: Scene) -> None:
    [outcome] = await outcomes(scene, incoming([upload(b"hello")]))
    assert isinstance(outcome, Received)


async def test_a_file_over_its_users_bytes_leaves_the_others_alone(sqlite_url: str) -> None:
    async with scene_on(sqlite_url, {Limit.UPLOADED_BYTES_PER_USER: Rate(1000, 86400)}) as scene:
        body = uploads([b"x" * 400, b"x" * 700, b"x" * 500], ["a.txt", "b.txt", "c.txt"])
        first, second, third = await outcomes(scene, incoming([body], len(body)))
        assert isinstance(first, Received)
        assert isinstance(second, RateLimited)
        assert isinstance(third, Received)


async def test_what_is_not_taken_is_removed_when_execution_fails(scene: Scene) -> None:
    async def fail() -> None:
        async with received(scene, incoming([upload(b"hello")])):
            assert scene.store.blobs
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert scene.store.is_empty
    assert cast("Tally", scene.gate.backends.ports.meter).ends == {("MULTIPART", "ABORTED"): 1}


async def test_a_file_that_is_cut_off_counts_as_aborted_and_one_that_never_began_does_not(scene: Scene) -> None:
    body = uploads([b"first" * 20, b"second" * 20], ["a.txt", "b.txt"])

    async def chunks() -> AsyncIterator[bytes]:
        yield body[: body.index(b"firstfirst") + 20]
        raise SenderGone

    with pytest.raises(SenderGone):
        await outcomes(scene, Incoming(CONTENT_TYPE, len(body), chunks()))
    assert cast("Tally", scene.gate.backends.ports.meter).ends == {("MULTIPART", "ABORTED"): 1}


async def test_files_may_come_in_any_order(scene: Scene) -> None:
    query = operations(UPLOAD_MANY, {"input": {"files": [{"file": None}, {"file": None}]}})
    mapping = json_part("map", {"a": ["variables.input.files.1.file"], "b": ["variables.input.files.0.file"]})
    body = joined(query, mapping, part("b", b"first", filename="b.txt"), part("a", b"second", filename="a.txt"))
    async with received(scene, incoming(split(body, 64))) as slots:
        assert [take(slot).head for slot in slots] == [b"first", b"second"]


async def test_one_part_with_two_paths_becomes_two_files(scene: Scene) -> None:
    query = operations(UPLOAD_MANY, {"input": {"files": [{"file": None}, {"file": None, "name": "other.txt"}]}})
    mapping = json_part("map", {"0": [f"variables.input.files.{index}.file" for index in range(2)]})
    async with received(scene, incoming([joined(query, mapping, part("0", b"twice", filename="a.txt"))])) as slots:
        taken = [take(slot) for slot in slots]
    assert [(each.admission.name, each.head) for each in taken] == [("a.txt", b"twice"), ("other.txt", b"twice")]
    assert len({each.stored.key for each in taken}) == len(scene.store.blobs) == 2


async def test_a_part_in_the_map_is_a_file_whatever_its_head_says(scene: Scene) -> None:
    query = operations(UPLOAD_ONE.replace("file: $file", 'file: $file, name: "n.txt"'), {"file": None})
    async with received(scene, incoming([joined(query, MAP_ONE, part("0", b"plain"))])) as [slot]:
        assert take(slot).head == b"plain"


async def test_bytes_that_came_before_under_their_key_are_compared_and_not_stored(scene: Scene) -> None:
    query = operations(UPLOAD_ONE.replace("file: $file", 'file: $file, idempotencyKey: "k"'), {"file": None})
    content = b"hello" * 100

    def again(content: bytes) -> Incoming:
        return incoming(split(joined(query, MAP_ONE, part("0", content, filename="a.txt")), 64))

    async with received(scene, again(content)) as [slot]:
        arrivals = Upload(scene.gate.backends.ports, scene.viewer, RequestFacts(), [take(slot)])
        [file] = await create_files(scene.gate.backends.db, scene.store, arrivals)
    assert isinstance(file, FileRow)
    async with received(scene, again(content)) as [slot]:
        assert slot.outcome == Repeated(file.id)
    for other in (content[:-1], content + b"!", content.replace(b"o", b"a")):
        async with received(scene, again(other)) as [slot]:
            assert isinstance(slot.outcome, IdempotencyKeyReused)
    assert scene.store.created == len(scene.store.blobs) == 1


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
    head = b"\r\n".join([*ONE, b"--" + BOUNDARY + b"\r\n"])
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
