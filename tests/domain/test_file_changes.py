"""What happens to files, told to those who watch, and to nobody else."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from sqlalchemy import delete
from sqlmodel import col

from db.models import Member
from domain.backends import Backends
from domain.errors import NotFound, NotSignedIn, Refusal, ScopeMissing
from domain.events import EventKind
from domain.file_changes import WAITING, FileChange, watch_files
from domain.files import Rename, purge_files, rename_file
from domain.scopes import Scope
from domain.stream_errors import StreamOverrun
from domain.topics import of_files
from domain.viewer import NOBODY, Viewer
from tests.domain.receiving import announced, completed, piece
from tests.machine import comes_true
from tests.scenes import FACTS, Scene

Watching = AsyncGenerator[FileChange, None]
PATIENCE_SECONDS = 20


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test asks for both."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


class Watch:
    """Somebody who watches, already listening."""

    def __init__(self, watching: Watching) -> None:
        self.watching = watching
        self.coming = asyncio.create_task(anext(watching))

    async def next(self) -> FileChange:
        async with asyncio.timeout(PATIENCE_SECONDS):
            change: FileChange = await self.coming
        self.coming = asyncio.create_task(anext(self.watching))
        return change


@asynccontextmanager
async def watched(scene: Scene, viewer: Viewer, workspace_id: UUID | None) -> AsyncIterator[Watch]:
    watch = Watch(watch_files(scene.db, viewer, workspace_id))
    place = workspace_id or scene.people["owner"].workspace_id
    assert await comes_true(lambda: of_files(place) in scene.db.bus._listeners)
    yield watch
    watch.coming.cancel()
    await asyncio.wait({watch.coming})
    await watch.watching.aclose()


async def committed(backends: Backends, scene: Scene) -> UUID:
    """The id of a file that the owner has just uploaded."""
    upload = await completed(backends, scene, await piece(backends, await announced(backends, scene)))
    assert upload.file_id is not None
    return upload.file_id


@both
async def test_members_are_told_what_happens_to_a_file(scene: Scene, backends: Backends) -> None:
    owner = scene.viewer("owner")
    async with watched(scene, scene.viewer("viewer"), scene.workspace_id) as watch:
        file_id = await committed(backends, scene)
        async with scene.db.transaction() as tx:
            await rename_file(tx, scene.ports, owner, Rename(file_id, "b.txt"), FACTS)
        async with scene.db.transaction() as tx:
            await purge_files(tx, scene.ports, owner, [file_id], FACTS)
        changes = [await watch.next() for _ in range(3)]
    kinds = [EventKind.FILE_UPLOADED, EventKind.FILE_RENAMED, EventKind.FILE_PURGED]
    assert changes == [FileChange(kind, file_id, owner.user_id, scene.clock.now()) for kind in kinds]
    assert scene.db.bus._listeners == {}


@both
async def test_who_may_not_see_the_files_is_refused_at_the_start(scene: Scene) -> None:
    told: dict[str, object] = {}
    for name in ("nobody", "stranger", "administrator"):
        with pytest.raises(Refusal) as refusal:
            await anext(watch_files(scene.db, scene.viewer(name), scene.workspace_id))
        told[name] = refusal.type
    assert told == {"nobody": NotSignedIn, "stranger": NotFound, "administrator": NotFound}
    key = Viewer(scene.id("owner"), scopes=frozenset({Scope.FILES_WRITE}))
    with pytest.raises(ScopeMissing):
        await anext(watch_files(scene.db, key, scene.workspace_id))
    with pytest.raises(NotSignedIn):
        await anext(watch_files(scene.db, NOBODY, None))


async def test_who_is_no_member_any_more_is_told_nothing_more(scene: Scene, backends: Backends) -> None:
    async with watched(scene, scene.viewer("viewer"), scene.workspace_id) as watch:
        async with scene.db.transaction() as tx:
            await tx.execute(delete(Member).where(col(Member.user_id) == scene.id("viewer")))
        await committed(backends, scene)
        with pytest.raises(NotFound):
            await watch.next()
    assert scene.db.bus._listeners == {}


async def test_what_happens_elsewhere_is_not_told(scene: Scene, backends: Backends) -> None:
    async with watched(scene, scene.viewer("owner"), scene.people["owner"].workspace_id) as watch:
        await committed(backends, scene)
        assert not watch.coming.done()


async def test_the_personal_workspace_is_watched_by_default(scene: Scene) -> None:
    async with watched(scene, scene.viewer("owner"), None) as watch:
        assert not watch.coming.done()


async def test_who_reads_too_slowly_gets_what_waited_and_is_told_so(scene: Scene, backends: Backends) -> None:
    file_id = await committed(backends, scene)
    watching = watch_files(scene.db, scene.viewer("owner"), scene.workspace_id)
    first = asyncio.create_task(anext(watching))
    assert await comes_true(lambda: of_files(scene.workspace_id) in scene.db.bus._listeners)
    for number in range(WAITING + 2):
        async with scene.db.transaction() as tx:
            change = Rename(file_id, f"{number}.txt")
            await rename_file(tx, scene.ports, scene.viewer("owner"), change, FACTS)
    read = [await first]
    with pytest.raises(StreamOverrun):
        read += [change async for change in watching]
    assert len(read) == 1
    assert scene.db.bus._listeners == {}
