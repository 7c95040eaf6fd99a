"""Histories: people who upload, change, download and leave, through the verbs that do it."""

from dataclasses import dataclass, field
from random import Random
from uuid import UUID

from uuid_utils.compat import uuid7

from db.analytics import Extent, Period
from db.models import UserRole, WorkspaceRole
from db.rows import FileRow
from domain import analytics_folding, departures, files, purges, sessions, workspaces
from domain.analytics import Question
from domain.analytics_folding import fold
from domain.backends import Backends
from domain.departures import Departure
from domain.downloads import Download, DownloadRecord, record_downloads
from domain.errors import Refusal
from domain.new_files import Upload, create_files
from domain.uploads import Admission, Receiver, Replaced
from domain.users import NewUser, create_user
from domain.versions import Restoration, restore_version
from domain.viewer import Viewer
from domain.workspaces import Deletion
from tests.domain.samples import JPEG
from tests.records import add_member, uncounted
from tests.scenes import FACTS, Scene

MOSTLY = 0.8
STEPS = (
    "join", "upload", "upload", "replace", "restore", "purge", "download", "grow", "login", "leave", "close", "wait",
    "fold", "fold_some",
)  # fmt: skip


@dataclass(slots=True)
class History:
    """What happens in a scene. Each step takes a number, from which follows to whom and to what it happens."""

    scene: Scene
    backends: Backends
    people: list[UUID] = field(default_factory=list)
    places: list[UUID] = field(default_factory=list)
    there: dict[UUID, list[FileRow]] = field(default_factory=dict)
    records: list[DownloadRecord] = field(default_factory=list)
    random: Random = field(default_factory=Random)

    async def do(self, step: str, number: int) -> None:
        self.random.seed(number)
        if step == "join" or not self.places:
            await self.join(number)
        elif step == "upload":
            await self.upload(number)
        else:
            await getattr(self, step)(number)

    async def join(self, _number: int) -> None:
        """Somebody signs up, makes a workspace, and is a member of one that there is."""
        name = uuid7().hex[-30:]
        new = NewUser(name, f"{name}@example.net", "-")
        async with self.scene.db.transaction() as tx:
            user = await create_user(tx, self.scene.ports, new, "-", FACTS)
            made = await workspaces.create_workspace(tx, self.scene.ports, Viewer(user.id), "Crew", FACTS)
        if self.places:
            await add_member(self.scene.db, self._place(), user.id, WorkspaceRole.EDITOR)
        self.people.append(user.id)
        self.places.append(made.id)

    async def upload(self, number: int) -> None:
        await self._bring(self._person(), self._place(), number)

    async def replace(self, number: int) -> None:
        file = self._file()
        if file is not None:
            await self._bring(self._writer(file), file.workspace_id, number, Replaced(file.id))

    async def _bring(self, person: UUID, place: UUID, number: int, replaces: Replaced | None = None) -> None:
        admission = Admission(place, "notes", None, None, 10**9, replaces=replaces)
        receiver = await Receiver.begin(self.backends.store, admission, uncounted())
        await receiver.write(self.random.choice((JPEG, b"words ")) + b"x" * number)
        upload = Upload(self.scene.ports, Viewer(person), FACTS, [await receiver.finish()])
        for file in await create_files(self.scene.db, self.backends.store, upload):
            if isinstance(file, FileRow):
                self.there.setdefault(file.id, []).append(file)

    async def restore(self, _number: int) -> None:
        file = self._file()
        if file is not None:
            older = self.random.choice(self.there[file.id])
            try:
                async with self.scene.db.transaction() as tx:
                    wanted = Restoration(file.id, older.version_id)
                    made = await restore_version(tx, self.scene.ports, Viewer(self._writer(file)), wanted, FACTS)
                self.there[file.id].append(made)
            except Refusal:
                pass

    async def purge(self, _number: int) -> None:
        file = self._file()
        if file is not None:
            async with self.scene.db.transaction() as tx:
                purged = await files.purge_files(tx, self.scene.ports, Viewer(self._writer(file)), [file.id], FACTS)
            if isinstance(purged.outcomes[0], FileRow):
                del self.there[file.id]

    async def download(self, number: int) -> None:
        file = self._file()
        if file is not None:
            now = self.scene.clock.now()
            download = Download(
                self._person(), file.id, file.version_id, file.workspace_id, "notes", file.size, file.media_type,
                file.digest, "-", 1, now, is_pinned=False,
            )  # fmt: skip
            self.records.append(DownloadRecord(uuid7(), download, FACTS, number, now, may_exist=False))
            async with self.scene.db.transaction() as tx:
                await record_downloads(tx, self.records[-1:])

    async def grow(self, number: int) -> None:
        """A download is known to have been longer, perhaps on another day; or it is written a second time."""
        if self.records:
            known = self.random.choice(self.records)
            longer = known._replace(sent=known.sent + number % 3, ended_at=self.scene.clock.now(), may_exist=True)
            self.records[self.records.index(known)] = longer
            async with self.scene.db.transaction() as tx:
                await record_downloads(tx, [longer])

    async def login(self, _number: int) -> None:
        async with self.scene.db.transaction() as tx:
            await sessions._sign_in(tx, self.scene.ports, self._person(), FACTS)

    async def leave(self, _number: int) -> None:
        if len(self.people) > 1:
            gone = self.people.pop(self.random.randrange(len(self.people)))
            boss = Viewer(self.scene.id("administrator"), UserRole.ADMIN)
            departure = Departure(gone, self.people[0])
            async with self.scene.db.transaction() as tx:
                departed = await departures.delete_user(tx, self.scene.ports, boss, departure, FACTS)
            for workspace_id in departed.workspace_ids:
                await self._purged(workspace_id)

    async def close(self, _number: int) -> None:
        """A workspace is deleted, if who asks owns it."""
        place = self._place()
        try:
            async with self.scene.db.transaction() as tx:
                viewer = Viewer(self._person())
                await workspaces.delete_workspace(
                    tx, self.scene.ports, viewer, Deletion(place, purge_files=True), FACTS
                )
        except Refusal:
            return
        self.places.remove(place)
        await self._purged(place)

    async def wait(self, number: int) -> None:
        self.scene.clock.forward(hours=number % 60)

    async def fold(self, number: int) -> None:
        await fold(self.scene.db, number % 7 + 1)

    async def fold_some(self, number: int) -> None:
        await analytics_folding._fold_some(self.scene.db, number % 3 + 1)

    def questions(self) -> list[Question]:
        """Everywhere, in one workspace, in several and in none; up to now, and up to some days ago."""
        today = self.scene.clock.now().date()
        periods = [Period(today.replace(day=1), today), Period(today.replace(day=3), today.replace(day=12))]
        extents = [Extent(None), Extent(tuple(self.places)), Extent(tuple(self.places[:1]))]
        return [Question(extent, period) for extent in extents for period in periods]

    async def _purged(self, workspace_id: UUID) -> None:
        await purges.begin(self.backends, workspace_id)
        self.there = {key: rows for key, rows in self.there.items() if rows[0].workspace_id != workspace_id}

    def _person(self) -> UUID:
        return self.random.choice(self.people)

    def _place(self) -> UUID:
        return self.random.choice(self.places)

    def _file(self) -> FileRow | None:
        return self.random.choice(list(self.there.values()))[-1] if self.there else None

    def _writer(self, file: FileRow) -> UUID:
        """Who uploaded a file, mostly, so that something comes of it; now and then anybody."""
        uploader = file.uploaded_by_id
        return uploader if uploader in self.people and self.random.random() < MOSTLY else self._person()
