"""The ledger: exact whatever happens, and no limit passed by a byte."""

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from db import quotas
from db.engine import Database
from db.models import QuotaKind
from db.rows import FileRow
from domain import files, ledger
from domain.backends import Backends
from domain.errors import Refusal
from domain.events import RequestFacts
from domain.ledger import Change
from domain.new_files import Upload, create_files
from domain.policy import WorkspacePolicy
from domain.ports import Ports
from domain.upload_errors import QuotaExceeded
from domain.upload_sessions import NewUpload, abort_upload, admit_upload, create_upload
from domain.uploads import Admission, Part, Received, Receiver, Replaced, UploadIntent, admit_intent, admit_part
from domain.viewer import Viewer
from storage.disk import DiskStore
from tests.records import Person, uncounted
from tests.scenes import FACTS, Scene

LIMIT = 100


async def opened(folder: Path) -> DiskStore:
    store = DiskStore(folder / "data", floor_bytes=0, lease_seconds=60)
    await store.open()
    return store


def limited(scene: Scene, workspace: int = LIMIT, user: int = 0) -> Ports:
    return replace(
        scene.ports,
        workspace_policy=replace(scene.ports.workspace_policy, quota_bytes=workspace, user_quota_bytes=user),
    )


async def line(db: Database, owner: object) -> tuple[int, int, int]:
    async with db.reading() as rows:
        found = ledger.line_of(await quotas.by_ids(rows, [owner]), owner)  # type: ignore[list-item, arg-type]
    return found.used, found.reserved, found.files


async def is_exact(db: Database) -> bool:
    async with db.reading() as rows:
        return await quotas.differences(rows) == []


async def brought(store: DiskStore, place: Person, size: int, replaces: Replaced | None = None) -> Received:
    admission = Admission(place.workspace_id, "a.txt", None, None, 10**9, replaces=replaces)
    receiver = await Receiver.begin(store, admission, uncounted())
    await receiver.write(b"x" * size)
    return await receiver.finish()


async def upload(
    backends: Backends, owner: Person, *sizes: int, replaces: Replaced | None = None
) -> list[FileRow | Refusal]:
    arrivals = [await brought(backends.store, owner, size, replaces) for size in sizes]  # type: ignore[arg-type]
    return await create_files(
        backends.db, backends.store, Upload(backends.ports, Viewer(owner.id), RequestFacts(), arrivals)
    )


async def test_files_are_entered_with_whom_they_lie_and_who_brought_them(scene: Scene, tmp_path: Path) -> None:
    store, ada = await opened(tmp_path), scene.people["owner"]
    backends = Backends(scene.db, store, scene.ports)
    [first] = await upload(backends, ada, 10)
    assert isinstance(first, FileRow)
    [again] = await upload(backends, ada, 5, replaces=Replaced(first.id))
    assert isinstance(again, FileRow)
    assert (again.id, again.revision, again.size) == (first.id, 2, 5)
    assert await line(scene.db, ada.workspace_id) == await line(scene.db, ada.id) == (15, 0, 1)
    async with scene.db.transaction() as tx:
        await files.purge_files(tx, scene.ports, Viewer(ada.id), [first.id], FACTS)
    assert await line(scene.db, ada.workspace_id) == await line(scene.db, ada.id) == (0, 0, 0)
    assert await is_exact(scene.db)
    await store.close()


async def test_a_limit_is_not_passed_by_a_byte(scene: Scene, tmp_path: Path) -> None:
    store, ada = await opened(tmp_path), scene.people["owner"]
    for ports, scope in ((limited(scene, LIMIT, 0), "WORKSPACE"), (limited(scene, 0, 2 * LIMIT), "USER")):
        backends = Backends(scene.db, store, ports)
        outcomes = await upload(backends, ada, 60, 41, 40, 0, 1)
        assert [isinstance(outcome, FileRow) for outcome in outcomes] == [True, False, True, True, False]
        refusal = outcomes[1]
        assert isinstance(refusal, QuotaExceeded)
        assert (refusal.scope, refusal.requested) == (scope, 41)
        assert refusal.used + refusal.reserved + 41 > refusal.limit
    assert await line(scene.db, ada.workspace_id) == (200, 0, 6)
    assert await is_exact(scene.db)
    assert len(list((tmp_path / "data/blobs").rglob("?" * 32))) == 6
    await store.close()


async def test_fifty_at_once_fill_a_limit_exactly(scene: Scene, tmp_path: Path) -> None:
    store, ada = await opened(tmp_path), scene.people["owner"]
    backends = Backends(scene.db, store, limited(scene))
    outcomes = await asyncio.gather(*(upload(backends, ada, 9) for _ in range(50)))
    assert sum(isinstance(outcome, FileRow) for [outcome] in outcomes) == LIMIT // 9
    assert await line(scene.db, ada.workspace_id) == (99, 0, 11)
    assert await is_exact(scene.db)
    await store.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_does_not_fit_is_refused_before_it_comes(scene: Scene, tmp_path: Path) -> None:
    store, ada, ports = await opened(tmp_path), scene.people["owner"], limited(scene)
    await upload(Backends(scene.db, store, ports), ada, 60)
    place = await admit_intent(scene.db, ports, Viewer(ada.id), UploadIntent())
    admit_part(ports.policy, place, UploadIntent(), Part("a.txt", None, 40))
    with pytest.raises(QuotaExceeded) as declared:
        admit_part(ports.policy, place, UploadIntent(), Part("a.txt", None, 41))
    assert (declared.value.limit, declared.value.used, declared.value.requested) == (LIMIT, 60, 41)
    receiver = await Receiver.begin(store, admit_part(ports.policy, place, UploadIntent(), Part("a.txt")), uncounted())
    await receiver.write(b"x" * 40)
    with pytest.raises(QuotaExceeded):
        await receiver.write(b"x")
    await store.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_ledger_does_not_fall_below_nothing(scene: Scene) -> None:
    with pytest.raises(RuntimeError, match="below nothing"):
        async with scene.db.transaction() as tx:
            await ledger.post(tx, scene.ports.workspace_policy, [Change(scene.workspace_id, None, used=-1)])
    async with scene.db.transaction() as tx:
        await ledger.post(tx, scene.ports.workspace_policy, [])
        await quotas.lock(tx, [scene.workspace_id])
    assert await line(scene.db, scene.workspace_id) == (0, 0, 0)


async def test_differences_are_found_and_can_be_entered(scene: Scene, tmp_path: Path) -> None:
    store, ada = await opened(tmp_path), scene.people["owner"]
    await upload(Backends(scene.db, store, scene.ports), ada, 10)
    async with scene.db.transaction() as tx:
        await quotas.post(tx, [quotas.Entry(ada.workspace_id, QuotaKind.WORKSPACE, 5, 3, 1)])
    async with scene.db.reading() as rows:
        assert await quotas.differences(rows, [uuid7()]) == []
        found = await quotas.differences(rows)
    assert found == [quotas.Entry(ada.workspace_id, QuotaKind.WORKSPACE, -5, -3, -1)]
    async with scene.db.transaction() as tx:
        await quotas.post(tx, found)
    assert await is_exact(scene.db)
    await store.close()


def test_zero_is_no_limit_and_an_own_limit_is_before_the_default() -> None:
    policy = WorkspacePolicy(5, 7, None)  # type: ignore[arg-type]
    assert [ledger.limit_of(policy, QuotaKind.WORKSPACE, own) for own in (None, 0, 9)] == [5, None, 9]
    assert [ledger.limit_of(policy, QuotaKind.USER, own) for own in (None, 0, 9)] == [7, None, 9]


STEPS = st.lists(
    st.tuples(st.sampled_from(["upload", "replace", "purge", "announce", "abort", "limit"]), st.integers(0, 60)),
    max_size=12,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
async def test_after_whatever_happened_the_ledger_is_what_is_there(
    scene: Scene, tmp_path: Path, steps: list[tuple[str, int]]
) -> None:
    store, ada = await opened(tmp_path), scene.people["owner"]
    limit, ports = LIMIT, limited(scene)
    there: list[FileRow] = []
    announced: list[UUID] = []
    for step, number in steps:
        held = sum((await line(scene.db, ada.workspace_id))[:2])
        backends = Backends(scene.db, store, ports)
        before = held
        if step == "upload":
            there += [row for row in await upload(backends, ada, number) if isinstance(row, FileRow)]
        elif step == "replace" and there:
            await upload(backends, ada, number, replaces=Replaced(there[number % len(there)].id))
        elif step == "purge" and there:
            file = there.pop(number % len(there))
            async with scene.db.transaction() as tx:
                await files.purge_files(tx, ports, Viewer(ada.id), [file.id], FACTS)
        elif step == "announce":
            announced += await announce(scene, ports, ada, number)
        elif step == "abort" and announced:
            upload_id = announced.pop(number % len(announced))
            async with scene.db.transaction() as tx:
                await abort_upload(tx, ports, Viewer(ada.id), upload_id, FACTS)
        elif step == "limit":
            limit, ports = number * 3 or LIMIT, limited(scene, number * 3 or LIMIT)
        held = sum((await line(scene.db, ada.workspace_id))[:2])
        assert held <= max(limit, before)
        assert await is_exact(scene.db)
    await store.close()


async def announce(scene: Scene, ports: Ports, owner: Person, size: int) -> list[UUID]:
    new, viewer = NewUpload(UploadIntent(name="a.txt"), size=size), Viewer(owner.id)

    try:
        admission = await admit_upload(scene.db, ports, viewer, new)
        async with scene.db.transaction() as tx:
            return [(await create_upload(tx, ports, viewer, (new, admission), FACTS)).id]
    except Refusal:
        return []
