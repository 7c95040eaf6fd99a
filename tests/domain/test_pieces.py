"""What requests bring of uploads, and what becomes of it when something fails."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from db import uploads
from db.models import UploadPart, UploadState, UploadTransport
from domain.backends import Backends
from domain.errors import FileTooLarge, InvalidInput, Unavailable
from domain.pieces import Part, Piece, Whole, reach_of
from domain.upload_errors import (
    OffsetMismatch,
    QuotaExceeded,
    TargetUsed,
    UploadBusy,
    UploadEnded,
    UploadIncomplete,
)
from domain.upload_sessions import abort_upload, announce_size
from storage.store import StoreError, StoreFull
from tests.domain.receiving import Faulty, announced, changed, is_exact, now_of, sent
from tests.scenes import FACTS, Scene


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test asks for both."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


async def test_bytes_that_come_too_late_are_removed(scene: Scene, backends: Backends, tmp_path: Path) -> None:
    for transport, begin in (
        (UploadTransport.TUS, lambda upload: Piece(backends, upload, 0, 11)),
        (UploadTransport.PARTS, lambda upload: Part(backends, upload, 1, 11)),
    ):
        upload = await announced(backends, scene, 11, transport)
        reception = await begin(upload).open()
        async with scene.db.transaction() as tx:
            await abort_upload(tx, backends.ports, scene.viewer("owner"), upload.id, FACTS)
        await reception.write(b"hello world")
        with pytest.raises(UploadEnded):
            await reception.end()
        with pytest.raises(UploadEnded):
            await begin(await now_of(scene.db, upload)).open()
    assert [path.name for path in (tmp_path / "data/incoming").iterdir()] == []
    upload = await changed(scene.db, await announced(backends, scene), state=UploadState.VERIFYING)
    reception = await Piece(backends, upload._replace(state=UploadState.OPEN), 0, None).open()
    with pytest.raises(UploadEnded):
        await reception.end()


async def test_a_request_that_came_late_takes_nothing_from_what_is_held_back(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene, None)
    first = await Piece(backends, upload, 0, None).open()
    await first.write(b"hello ")
    held = (await now_of(scene.db, upload)).reserved
    assert held > 6
    await Piece(backends, upload._replace(reserved=held), 0, None)._reserve(held + 1)
    more = (await now_of(scene.db, upload)).reserved
    assert more > held
    with pytest.raises(UploadBusy):
        await Piece(backends, upload, 0, 5).open()
    assert (await now_of(scene.db, upload)).reserved == more
    await first.cut()
    assert await is_exact(scene.db)


async def test_what_the_store_cannot_do_is_unavailable(scene: Scene, backends: Backends, store: Faulty) -> None:
    upload = await announced(backends, scene)
    for failing in ("extend", "write", "close"):
        store.failing, store.error = failing, StoreFull("full") if failing == "extend" else StoreError("broken")
        with pytest.raises(Unavailable):
            await sent(Piece(backends, upload, 0, 11))
    store.failing = "reach"
    with pytest.raises(Unavailable):
        await reach_of(backends, upload)
    store.failing = ""


async def test_what_the_disk_could_not_take_is_not_said_to_have_come(
    scene: Scene, backends: Backends, store: Faulty
) -> None:
    upload = await announced(backends, scene)
    store.failing = "last byte"
    with pytest.raises(Unavailable):
        await sent(Piece(backends, upload, 0, 11))
    assert (await now_of(scene.db, upload)).received == 10


async def test_two_do_not_send_at_once(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    first = await Piece(backends, upload, 0, None).open()
    with pytest.raises(UploadBusy):
        await Piece(backends, upload, 0, None).open()
    await first.cut()
    with pytest.raises(OffsetMismatch):
        await Piece(backends, upload, 3, None).open()
    with pytest.raises(InvalidInput):
        Whole(backends, upload, 11)


async def test_a_put_that_was_killed_half_way_begins_anew(scene: Scene, backends: Backends, store: Faulty) -> None:
    upload = await announced(backends, scene, 11, UploadTransport.SINGLE_PUT)
    left = await store.extend(upload.blob_key, 0)
    await left.write(b"hell")
    await left.close()
    reception = await Whole(backends, upload, 11).open()
    await reception.write(b"hello")
    store.failing = "delete"
    with pytest.raises(Unavailable):
        await reception.cut()
    store.failing = ""
    assert (await sent(Whole(backends, upload, None))).received == 11
    with pytest.raises(TargetUsed):
        Whole(backends, await now_of(scene.db, upload), 11)


async def test_a_part_counts_once_also_when_it_comes_twice_at_once(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene, 11, UploadTransport.PARTS)
    reception = await Part(backends, upload, 1, 11).open()
    await reception.write(b"hello world")
    async with scene.db.transaction() as tx:
        other = UploadPart(upload_id=upload.id, number=1, size=11, created_at=upload.created_at)
        assert await uploads.add_part(tx, other)
    with pytest.raises(TargetUsed):
        await reception.end()
    short = await Part(backends, await announced(backends, scene, 11, UploadTransport.PARTS), 1, None).open()
    await short.write(b"hello")
    with pytest.raises(UploadIncomplete):
        await short.end()


async def test_an_upload_of_unknown_size_reserves_as_it_grows(scene: Scene, backends: Backends) -> None:
    policy = replace(backends.ports.workspace_policy, quota_bytes=20)
    tight = replace(backends, ports=replace(backends.ports, workspace_policy=policy))
    upload = await announced(tight, scene, None)
    reception = await Piece(tight, upload, 0, None).open()
    await reception.write(b"x" * 20)
    with pytest.raises(QuotaExceeded):
        await reception.write(b"x")
    await reception.cut()
    held = await now_of(scene.db, upload)
    assert (held.received, held.reserved) == (20, 20)
    assert await is_exact(scene.db)
    policy_of_files = replace(backends.ports.policy, maximum_file_bytes=30)
    small = replace(backends, ports=replace(backends.ports, policy=policy_of_files))
    with pytest.raises(FileTooLarge):
        await Piece(small, held, 20, 11).open()
    reception = await Piece(backends, held, 20, None).open()
    async with scene.db.transaction() as tx:
        await abort_upload(tx, backends.ports, scene.viewer("owner"), upload.id, FACTS)
    with pytest.raises(UploadEnded):
        await reception.write(b"x")
    await asyncio.gather(reception.cut(), return_exceptions=True)
    for size, refusal in ((2**62, FileTooLarge), (11, UploadEnded)):
        async with scene.db.transaction() as tx:
            with pytest.raises(refusal):
                await announce_size(tx, backends.ports, held, size)
