"""How far uploads are, told to those who make them."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import delete
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database
from db.models import Member, UploadState, UploadTransport
from db.rows import UploadRow
from domain.backends import Backends
from domain.errors import NotSignedIn, ScopeMissing
from domain.pieces import Part, Piece, Whole
from domain.scopes import Scope
from domain.upload_progress import WatchPace, watch_upload
from domain.upload_sessions import NewUpload, abort_upload, admit_upload, announce_size, create_upload
from domain.upload_sweeps import sweep_uploads
from domain.uploads import UploadIntent
from domain.viewer import NOBODY, Viewer
from tests.domain.receiving import announced, completed, piece, sent
from tests.scenes import FACTS, Scene

Watching = AsyncGenerator[UploadRow | None, None]
EAGER = WatchPace(between=0, unasked=60, beginning=60)
PATIENCE_SECONDS = 20


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test asks for both."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


def watching(scene: Scene, upload_id: UUID, pace: WatchPace = EAGER, name: str = "owner") -> Watching:
    return watch_upload(scene.db, scene.viewer(name), upload_id, pace)


async def following(watch: Watching) -> tuple[str, int] | None:
    """State and bytes of what is told next."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        row = await anext(watch)
    return row and (row.state, row.received)


async def rest_of(watch: Watching) -> list[tuple[str, int] | None]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [row and (row.state, row.received) async for row in watch]


@both
async def test_an_upload_is_told_as_it_stands_and_then_as_it_changes(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    watch = watching(scene, upload.id)
    assert await following(watch) == (UploadState.OPEN, 0)
    reception = await Piece(backends, upload, 0, 11).open()
    await reception.write(b"hello")
    assert await following(watch) == (UploadState.RECEIVING, 5)
    await reception.write(b" world")
    upload = await reception.end()
    assert await following(watch) == (UploadState.RECEIVING, 11)
    await completed(backends, scene, upload)
    assert (await rest_of(watch))[-1] == (UploadState.COMMITTED, 11)
    assert scene.db.bus._listeners == {}


async def test_an_upload_that_has_ended_is_told_once(scene: Scene, backends: Backends) -> None:
    upload = await completed(backends, scene, await piece(backends, await announced(backends, scene)))
    assert await rest_of(watching(scene, upload.id)) == [(UploadState.COMMITTED, 11)]


async def test_parts_are_told_of_once_they_have_come(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene, 2, UploadTransport.PARTS)
    watch = watching(scene, upload.id)
    assert await following(watch) == (UploadState.OPEN, 0)
    await sent(Part(backends, upload, 1, 2), b"ab")
    assert await following(watch) == (UploadState.RECEIVING, 2)
    await watch.aclose()


async def test_what_was_thrown_away_does_not_count(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene, 11, UploadTransport.SINGLE_PUT)
    watch = watching(scene, upload.id)
    assert await following(watch) == (UploadState.OPEN, 0)
    reception = await Whole(backends, upload, 11).open()
    await reception.write(b"hello")
    assert await following(watch) == (UploadState.RECEIVING, 5)
    await reception.cut()
    assert await following(watch) == (UploadState.OPEN, 0)
    await watch.aclose()


async def test_the_end_of_an_upload_is_told_whoever_ends_it(scene: Scene, backends: Backends) -> None:
    aborted, expired = await announced(backends, scene), await announced(backends, scene)
    watches = [watching(scene, upload.id) for upload in (aborted, expired)]
    assert [await following(watch) for watch in watches] == [(UploadState.OPEN, 0)] * 2
    async with scene.db.transaction() as tx:
        await abort_upload(tx, scene.ports, scene.viewer("owner"), aborted.id, FACTS)
    assert await rest_of(watches[0]) == [(UploadState.ABORTED, 0)]
    scene.clock.time += timedelta(days=2)
    await sweep_uploads(backends, scene.clock.now())
    assert await rest_of(watches[1]) == [(UploadState.EXPIRED, 0)]


async def test_a_size_that_is_said_later_is_told(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene, None)
    watch = watching(scene, upload.id)
    first = await anext(watch)
    async with scene.db.transaction() as tx:
        await announce_size(tx, scene.ports, upload, 7)
    second = await anext(watch)
    assert [row and row.size for row in (first, second)] == [None, 7]
    await watch.aclose()


async def test_an_id_may_be_watched_before_there_is_an_upload(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    other = uuid7()
    watch = watching(scene, other)
    assert await following(watch) is None
    scene.db.bus.tell([])
    new = NewUpload(UploadIntent(name="a.txt", workspace_id=scene.workspace_id), UploadTransport.TUS, 5, id=other)
    admission = await admit_upload(scene.db, backends.ports, scene.viewer("owner"), new)
    async with scene.db.transaction() as tx:
        await create_upload(tx, backends.ports, scene.viewer("owner"), (new, admission), FACTS)
    assert await following(watch) == (UploadState.OPEN, 0)
    assert upload.id != other
    await watch.aclose()


async def test_nobody_waits_for_ever_for_an_upload_that_does_not_begin(scene: Scene) -> None:
    assert await rest_of(watching(scene, uuid7(), WatchPace(0, 0.01, 0.05))) == [None]


async def test_what_nobody_told_of_is_found_in_time(scene: Scene, backends: Backends, database_url: str) -> None:
    upload = await announced(backends, scene)
    watch = watching(scene, upload.id, WatchPace(0, 0.02, 60))
    assert await following(watch) == (UploadState.OPEN, 0)
    elsewhere = Database(database_url)  # another process, whose news do not come here
    await piece(replace(backends, db=elsewhere), upload)
    assert await following(watch) == (UploadState.RECEIVING, 11)
    await elsewhere.close()
    await watch.aclose()


async def test_news_that_change_nothing_are_not_told(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    watch = watching(scene, upload.id, WatchPace(0, 0.01, 60))
    assert await following(watch) == (UploadState.OPEN, 0)
    waiting = asyncio.create_task(anext(watch))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait({waiting})


@both
async def test_an_upload_is_told_to_its_maker_alone(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    quick = WatchPace(0, 0.01, 0.01)
    for name in ("editor", "viewer", "stranger", "administrator", "disabled"):
        assert await rest_of(watching(scene, upload.id, quick, name)) == [None], name
    with pytest.raises(NotSignedIn):
        await anext(watch_upload(scene.db, NOBODY, upload.id))
    with pytest.raises(ScopeMissing):
        await anext(watch_upload(scene.db, Viewer(scene.id("owner"), scopes=frozenset({Scope.FILES_READ})), upload.id))


async def test_who_may_not_any_more_is_told_that_there_is_none(scene: Scene, backends: Backends) -> None:
    upload = await announced(backends, scene)
    watch = watching(scene, upload.id, WatchPace(0, 0.01, 0))
    assert await following(watch) == (UploadState.OPEN, 0)
    async with scene.db.transaction() as tx:
        await tx.execute(delete(Member).where(col(Member.user_id) == scene.id("owner")))
    assert await rest_of(watch) == [None]
