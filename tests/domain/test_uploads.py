import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from uuid_utils.compat import uuid7

from db.rates import Rate
from domain.errors import (
    DigestMismatch,
    ExtensionNotAllowed,
    FileTooLarge,
    InvalidInput,
    RateLimited,
    Refusal,
    Unavailable,
)
from domain.media import HEAD_BYTES
from domain.policy import Limit, UploadPolicy
from domain.rates import Allowance
from domain.uploads import Admission, Destination, Part, Receiver, UploadIntent, admit_part
from domain.viewer import Viewer
from storage.disk import DiskStore
from storage.store import BlobWriter, Stored, StoreError, StoreFull
from tests.records import MovableClock, make_ports, uncounted

POLICY = UploadPolicy(
    maximum_file_bytes=100,
    maximum_files=3,
    allowed_extensions=frozenset({"txt"}),
    blocked_extensions=frozenset({"exe"}),
)
WORKSPACE = uuid7()


def admitted(limit: int = 100, digest: str | None = None) -> Admission:
    return Admission(WORKSPACE, "a.txt", None, digest, limit)


class BrokenWriter:
    """A writer that fails where it is told to."""

    size = 0

    def __init__(self, at: str, error: StoreError) -> None:
        self.at, self.error, self.is_abandoned = at, error, False

    async def write(self, data: bytes) -> None:
        if self.at == "write":
            raise self.error
        self.size += len(data)

    async def finish(self) -> Stored:
        raise self.error

    async def abandon(self) -> None:
        self.is_abandoned = True


class BrokenStore(DiskStore):
    """A store whose writers fail where they are told to."""

    def __init__(self, folder: Path, at: str, error: StoreError) -> None:
        super().__init__(folder, floor_bytes=0, lease_seconds=60)
        self.writer, self.at, self.error = BrokenWriter(at, error), at, error

    async def create(self, key: str) -> BlobWriter:  # type: ignore[override]
        del key
        if self.at == "create":
            raise self.error
        return self.writer


def test_the_name_in_the_input_wins_over_the_parts() -> None:
    part = Part(filename="part.txt", media_type="text/plain", declared_size=100)
    named = admit_part(POLICY, Destination(WORKSPACE, ()), UploadIntent(name="dir/input.txt", digest="AB" * 32), part)
    assert (named.name, named.digest, named.limit) == ("input.txt", "ab" * 32, 100)
    assert (named.workspace_id, named.declared_media_type) == (WORKSPACE, "text/plain")
    assert admit_part(POLICY, Destination(WORKSPACE, ()), UploadIntent(), part).name == "part.txt"


@pytest.mark.parametrize(
    ("intent", "part", "refusal"),
    [
        (UploadIntent(), Part(), InvalidInput),
        (UploadIntent(name=""), Part(filename="a.txt"), InvalidInput),
        (UploadIntent(), Part(filename="a.exe"), ExtensionNotAllowed),
        (UploadIntent(), Part(filename="a.exe.txt"), ExtensionNotAllowed),
        (UploadIntent(), Part(filename="a"), ExtensionNotAllowed),
        (UploadIntent(), Part(filename="a.txt", declared_size=101), FileTooLarge),
    ],
)
def test_a_part_is_refused_by_its_head(intent: UploadIntent, part: Part, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        admit_part(POLICY, Destination(WORKSPACE, ()), intent, part)


async def test_received_bytes_are_counted_and_their_head_is_kept(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await store.open()
    content = bytes(range(256)) * 1000
    receiver = await Receiver.begin(
        store, admitted(limit=len(content), digest=hashlib.sha256(content).hexdigest()), uncounted()
    )
    for start in range(0, len(content), 999):
        await receiver.write(content[start : start + 999])
    received = await receiver.finish()
    assert received.stored.size == len(content)
    assert received.stored.digest == hashlib.sha256(content).hexdigest()
    assert received.head == content[:HEAD_BYTES]
    assert b"".join([piece async for piece in store.read(received.stored.key)]) == content
    await store.close()


async def test_a_byte_more_than_admitted_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await store.open()
    receiver = await Receiver.begin(store, admitted(limit=10), uncounted())
    await receiver.write(b"x" * 10)
    with pytest.raises(FileTooLarge, match="10 bytes"):
        await receiver.write(b"x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    await store.close()


async def test_other_bytes_than_announced_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await store.open()
    receiver = await Receiver.begin(store, admitted(digest="0" * 64), uncounted())
    await receiver.write(b"abc")
    with pytest.raises(DigestMismatch) as caught:
        await receiver.finish()
    assert caught.value.expected == "0" * 64
    assert caught.value.actual == hashlib.sha256(b"abc").hexdigest()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    await store.close()


@pytest.fixture
def metered() -> Allowance:
    """For an upload of somebody who may bring 3 MB more."""
    rates = {Limit.UPLOADED_BYTES_PER_USER: Rate(3_000_000, 86400)}
    return Allowance(make_ports(MovableClock(), rates), Viewer(uuid7()))


async def test_an_upload_over_its_users_bytes_is_refused_where_it_is_and_nothing_is_left(
    tmp_path: Path, metered: Allowance
) -> None:
    store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await store.open()
    receiver = await Receiver.begin(store, admitted(limit=1 << 30), metered)
    for _ in range(3):
        await receiver.write(bytes(1_000_000))
    with pytest.raises(RateLimited, match="3000000 in 86400 seconds"):
        await receiver.write(bytes(1_000_000))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    await store.close()


async def test_an_upload_that_ends_over_its_users_bytes_is_refused_and_nothing_is_left(
    tmp_path: Path, metered: Allowance
) -> None:
    store = DiskStore(tmp_path, floor_bytes=0, lease_seconds=60)
    await store.open()
    receiver = await Receiver.begin(store, admitted(limit=1 << 30), metered)
    for size in (2_500_000, 600_000):
        await receiver.write(bytes(size))
    with pytest.raises(RateLimited):
        await receiver.finish()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    await store.close()


async def test_bytes_that_a_store_did_not_take_are_given_back(tmp_path: Path, metered: Allowance) -> None:
    store = BrokenStore(tmp_path, "create", StoreError("broken"))
    for _ in range(5):
        with pytest.raises(Unavailable):
            await Receiver.begin(store, replace(admitted(), declared_size=3_000_000), metered)


@pytest.mark.parametrize(("error", "words"), [(StoreFull("full"), "no room"), (StoreError("broken"), "cannot store")])
@pytest.mark.parametrize("at", ["create", "write", "finish"])
async def test_a_store_that_fails_makes_the_upload_unavailable(
    tmp_path: Path, at: str, error: StoreError, words: str
) -> None:
    store = BrokenStore(tmp_path, at, error)

    async def receive() -> None:
        receiver = await Receiver.begin(store, admitted(), uncounted())
        await receiver.write(b"abc")
        await receiver.finish()

    with pytest.raises(Unavailable, match=words):
        await receive()
    assert store.writer.is_abandoned is (at != "create")
