"""What happens to bytes around the transaction that makes files of them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from db.engine import Database
from db.models import File, User, WorkspaceRole
from db.rows import FileRow
from domain.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    MediaTypeNotAllowed,
    NotFound,
    NotSignedIn,
    Refusal,
)
from domain.events import RequestFacts
from domain.idempotency import Asked
from domain.new_files import Upload, create_files
from domain.repeated_uploads import Repeated
from domain.uploads import Admission, Received, Receiver
from domain.viewer import NOBODY, Viewer
from storage.disk import DiskStore
from storage.store import StoreError
from tests.machine import comes_true
from tests.records import MovableClock, Person, add_member, add_person, make_ports, uncounted


class Stiff(DiskStore):
    """A store that takes bytes and lets nothing go."""

    async def release(self, key: str) -> None:
        """Do nothing."""

    async def delete(self, key: str) -> None:
        raise StoreError(f"cannot delete {key}")


@dataclass(frozen=True, slots=True)
class Scene:
    """Somebody's workspace and where its bytes go."""

    db: Database
    store: DiskStore
    folder: Path
    ada: Person

    async def receive(self, content: bytes, name: str = "a.txt", asked: Asked | None = None) -> Received:
        admission = Admission(self.ada.workspace_id, name, None, None, 10**9, asked=asked)
        receiver = await Receiver.begin(self.store, admission, uncounted())
        await receiver.write(content)
        return await receiver.finish()

    async def create(
        self, viewer: Viewer, *arrivals: Received | Repeated | Refusal, store: DiskStore | None = None
    ) -> Sequence[FileRow | Refusal]:
        upload = Upload(make_ports(MovableClock()), viewer, RequestFacts(), arrivals)
        return await create_files(self.db, store or self.store, upload)

    async def files(self) -> int:
        async with self.db.reading() as rows:
            return int(await rows.scalar(select(func.count()).select_from(File)))

    def stored(self) -> int:
        return sum(1 for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    db, folder = Database(database_url), tmp_path / "store"
    store = DiskStore(folder, floor_bytes=0, lease_seconds=60)
    await store.open()
    yield Scene(db, store, folder, await add_person(db, "ada"))
    await store.close()
    await db.close()


async def test_what_arrived_becomes_files_in_order_and_what_did_not_keeps_its_refusal(scene: Scene) -> None:
    refusal = InvalidInput(message="no")
    picture = await scene.receive(b"no picture", "a.png")
    first, second = await scene.receive(b"first"), await scene.receive(b"second")
    outcomes = await scene.create(Viewer(scene.ada.id), first, refusal, picture, second)
    assert isinstance(outcomes[0], FileRow)
    assert outcomes[1] is refusal
    assert isinstance(outcomes[2], MediaTypeNotAllowed)
    assert isinstance(outcomes[3], FileRow)
    assert outcomes[3].digest == sha256(b"second").hexdigest()
    assert await scene.files() == 2
    assert await comes_true(lambda: scene.stored() == 2)


async def test_a_right_that_was_lost_meanwhile_makes_no_file(scene: Scene) -> None:
    eve, vera = await add_person(scene.db, "eve"), await add_person(scene.db, "vera")
    await add_member(scene.db, scene.ada.workspace_id, vera.id, WorkspaceRole.VIEWER)
    [stranger] = await scene.create(Viewer(eve.id), await scene.receive(b"words"))
    [viewer] = await scene.create(Viewer(vera.id), await scene.receive(b"words"))
    assert isinstance(stranger, NotFound)
    assert isinstance(viewer, Forbidden)
    async with scene.db.transaction() as tx:
        await tx.execute(update(User).where(col(User.id) == scene.ada.id).values(disabled_at=datetime.now(UTC)))
    [disabled] = await scene.create(Viewer(scene.ada.id), await scene.receive(b"words"))
    assert isinstance(disabled, NotFound)
    assert (await scene.files(), scene.stored()) == (0, 0)


async def test_of_two_requests_under_one_key_one_is_kept_and_the_other_is_told(scene: Scene) -> None:
    one, other = (Asked(scene.ada.id, "k", digest) for digest in ("one", "other"))
    same = [await scene.receive(b"words", asked=one) for _ in range(2)]
    first, second = await scene.create(Viewer(scene.ada.id), *same)
    assert isinstance(first, FileRow)
    assert first == second
    [third] = await scene.create(Viewer(scene.ada.id), await scene.receive(b"words", asked=other))
    assert isinstance(third, IdempotencyKeyReused)
    [again] = await scene.create(Viewer(scene.ada.id), Repeated(first.id))
    assert again == first
    assert await scene.files() == 1
    assert await comes_true(lambda: scene.stored() == 1)


async def test_a_file_that_is_purged_before_its_repetition_is_answered_is_not_found(scene: Scene) -> None:
    [gone] = await scene.create(Viewer(scene.ada.id), Repeated(scene.ada.id))
    assert isinstance(gone, NotFound)


async def test_nobody_makes_no_file(scene: Scene) -> None:
    with pytest.raises(NotSignedIn):
        await scene.create(NOBODY, InvalidInput(message="no"))


async def test_nothing_arrived_is_nothing_to_do(scene: Scene) -> None:
    assert await scene.create(Viewer(scene.ada.id)) == []


async def test_a_store_that_lets_nothing_go_takes_no_file_back(scene: Scene) -> None:
    stiff = Stiff(scene.folder, floor_bytes=0, lease_seconds=60)
    words, picture = await scene.receive(b"words"), await scene.receive(b"no picture", "a.png")
    outcomes = await scene.create(Viewer(scene.ada.id), words, picture, store=stiff)
    assert isinstance(outcomes[0], FileRow)
    assert isinstance(outcomes[1], MediaTypeNotAllowed)
    assert await scene.files() == 1
