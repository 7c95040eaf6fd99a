"""What lies in deleted workspaces, purged in batches, and finished by a sweep where that was cut short."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel, col

from db.engine import Transaction
from db.models import Blob, Event, File, Version, Workspace
from domain import blobs, purges, workspaces
from domain.backends import Backends
from domain.viewer import Viewer
from domain.workspaces import Deletion
from storage.disk import DiskStore
from tests.records import NOW, Bytes, add_file, add_version
from tests.scenes import FACTS, Scene
from tests.storage.blobs import release


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    opened = DiskStore(tmp_path / "data", floor_bytes=0, lease_seconds=60)
    await opened.open()
    yield opened
    await opened.close()


async def put(store: DiskStore, key: str) -> None:
    writer = await store.create(key)
    await writer.write(b"x")
    await writer.finish()
    await release(store, key)


async def fill(scene: Scene, store: DiskStore, number: int) -> None:
    there = replace(scene.people["editor"], workspace_id=scene.workspace_id)
    for each in range(number):
        key = f"{each:032x}"
        await put(store, key)
        file_id, _ = await add_file(scene.db, there, Bytes(b"x", key))
    older = "f" * 32
    await put(store, older)
    await add_version(scene.db, file_id, 2, Bytes(b"y", older))


async def delete(scene: Scene) -> None:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        deletion = Deletion(scene.workspace_id, purge_files=True)
        return await workspaces.delete_workspace(tx, scene.ports, viewer, deletion, FACTS)

    await scene.ask("owner", verb)


async def count(scene: Scene, table: type[SQLModel]) -> int:
    async with scene.db.reading() as rows:
        return int(await rows.scalar(select(func.count()).select_from(table)))


async def place(scene: Scene) -> UUID | None:
    async with scene.db.reading() as rows:
        found: UUID | None = await rows.scalar(select(col(Workspace.id)).where(col(Workspace.id) == scene.workspace_id))
    return found


def stored(tmp_path: Path) -> int:
    return sum(path.is_file() for path in (tmp_path / "data").rglob("*") if len(path.name) == 32)


async def test_files_and_bytes_of_a_deleted_workspace_go_and_history_stays(
    scene: Scene, store: DiskStore, tmp_path: Path
) -> None:
    await fill(scene, store, 3)
    assert await count(scene, Blob) == 4
    await delete(scene)
    await purges.begin(Backends(scene.db, store, scene.ports), scene.workspace_id)
    assert [await count(scene, table) for table in (File, Version, Blob)] == [0, 0, 0]
    assert await place(scene) is None
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []
    kinds = [kind for kind, *_ in await scene.events()]
    assert kinds == ["workspace.deleted", *["file.purged"] * 3]
    async with scene.db.reading() as rows:
        purged = await rows.first(
            select(col(Event.actor_id), col(Event.workspace_id), col(Event.size)).order_by(col(Event.id).desc())
        )
    assert purged is not None
    assert tuple(purged) == (None, scene.workspace_id, 1)


async def test_what_was_cut_short_is_finished_by_a_sweep(
    scene: Scene, store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purges, "BATCH", 2)
    monkeypatch.setattr(purges, "BATCHES_AT_ONCE", 1)
    await fill(scene, store, 5)
    await delete(scene)
    await purges.begin(Backends(scene.db, store, scene.ports), scene.workspace_id)
    assert await count(scene, File) == 3
    assert await place(scene) == scene.workspace_id
    await purges.sweep_workspaces(Backends(scene.db, store, scene.ports))
    await blobs.sweep(scene.db, store, NOW)
    assert [await count(scene, table) for table in (File, Version, Blob)] == [0, 0, 0]
    assert await place(scene) is None
    await purges.sweep_workspaces(Backends(scene.db, store, scene.ports))


async def test_a_workspace_that_is_not_deleted_is_left_alone(scene: Scene, store: DiskStore) -> None:
    await purges.begin(Backends(scene.db, store, scene.ports), scene.workspace_id)
    await purges.sweep_workspaces(Backends(scene.db, store, scene.ports))
    assert await place(scene) == scene.workspace_id


async def test_files_that_another_process_purged_meanwhile_are_told_of_once(scene: Scene) -> None:
    async with scene.db.transaction() as tx:
        assert await purges._purge(tx, scene.ports, scene.workspace_id, {scene.id("owner"): 1}) == []
    assert await scene.events() == []
