"""Who may have which bytes, by right or by a signed link, and what history keeps of it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from sqlalchemy import Row, delete, inspect, select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database
from db.models import Blob, Event, FileStatus, Member, Session, User, Version
from domain.downloads import (
    Disposition,
    Download,
    DownloadRecord,
    LinkTerms,
    SignedDownload,
    Wanted,
    open_all,
    record_downloads,
    sign_download,
    wanted_by,
)
from domain.errors import BadCredential, ExpiredCredential, InvalidInput, NotSignedIn
from domain.events import RequestFacts
from domain.ports import Ports
from domain.viewer import NOBODY, Viewer
from tests.records import NOW, Bytes, MovableClock, Person, add_file, add_member, add_person, add_version, make_ports

CONTENT = Bytes(b"hello", "k1")


@dataclass(frozen=True, slots=True)
class World:
    """A database with an owner, a stranger and one file of the owner's."""

    db: Database
    clock: MovableClock
    ports: Ports
    owner: Person
    stranger: Person
    file_id: UUID
    version_id: UUID

    async def find(self, *wanted: Wanted) -> dict[Wanted, Download]:
        async with self.db.reading() as rows:
            return await open_all(rows, wanted)

    async def open(self, person: Person, version_id: UUID | None = None) -> Download | None:
        want = Wanted(person.id, self.file_id, version_id, person.session_id)
        return (await self.find(want)).get(want)

    async def opened(self, person: Person, version_id: UUID | None = None) -> Download:
        download = await self.open(person, version_id)
        assert download is not None
        return download

    async def follow(self, link: SignedDownload) -> Download | None:
        want = wanted_by(self.ports, link)
        return (await self.find(want)).get(want)

    def url(self, expires_in_seconds: int = 300, disposition: Disposition = Disposition.ATTACHMENT) -> str:
        terms = LinkTerms(self.file_id, self.version_id, disposition, expires_in_seconds)
        return sign_download(self.ports, Viewer(self.owner.id), terms)

    def link(self, expires_in_seconds: int = 300) -> SignedDownload:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.url(expires_in_seconds)).query).items()}
        return SignedDownload(
            file_id=self.file_id,
            version_id=self.version_id,
            disposition=Disposition(query["disposition"]),
            expires=int(query["expires"]),
            signer_id=UUID(query["signer"].removeprefix("user_")),
            signature=query["signature"],
        )


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    db, clock = Database(database_url), MovableClock()
    owner, stranger = await add_person(db, "owner"), await add_person(db, "stranger")
    file_id, version_id = await add_file(db, owner, CONTENT)
    yield World(db, clock, make_ports(clock), owner, stranger, file_id, version_id)
    await db.close()


async def test_an_owner_opens_the_current_content(world: World) -> None:
    assert await world.opened(world.owner) == Download(
        user_id=world.owner.id,
        file_id=world.file_id,
        version_id=world.version_id,
        workspace_id=world.owner.workspace_id,
        name="notes.txt",
        size=5,
        media_type="text/plain",
        digest=CONTENT.digest,
        blob_key="k1",
        number=1,
        modified_at=NOW,
        is_pinned=False,
    )


async def test_members_of_every_role_may_read(world: World) -> None:
    await add_member(world.db, world.owner.workspace_id, world.stranger.id)

    assert (await world.opened(world.stranger)).user_id == world.stranger.id


async def test_a_version_that_is_not_current_is_opened_by_its_id(world: World) -> None:
    other = await add_version(world.db, world.file_id, 2, Bytes(b"hello again", "k2"))

    opened = await world.opened(world.owner, other)

    assert (opened.blob_key, opened.size, opened.number, opened.is_pinned) == ("k2", 11, 2, True)
    assert (await world.opened(world.owner)).blob_key == "k1"


async def test_what_is_foreign_is_as_absent_as_what_is_not_there(world: World) -> None:
    assert await world.open(world.stranger) is None
    assert await replace(world, file_id=uuid7()).open(world.owner) is None
    assert await world.open(replace(world.owner, id=uuid7())) is None


async def test_a_version_of_another_file_is_not_found(world: World) -> None:
    _, other = await add_file(world.db, world.owner, Bytes(b"other", "k2"))

    assert await world.open(world.owner, other) is None


async def test_many_want_many_and_each_gets_only_what_is_theirs(world: World) -> None:
    foreign_id, foreign_version = await add_file(world.db, world.stranger, Bytes(b"theirs", "k2"))
    owner, stranger = world.owner, world.stranger
    mine = Wanted(owner.id, world.file_id, None, owner.session_id)
    theirs = Wanted(stranger.id, foreign_id, None, stranger.session_id)
    mine_named, theirs_named = mine._replace(version_id=world.version_id), theirs._replace(version_id=foreign_version)
    lent_mine, lent_theirs = (want._replace(session_id=None) for want in (mine_named, theirs_named))
    crossed = [
        mine._replace(file_id=foreign_id),
        theirs._replace(file_id=world.file_id),
        mine_named._replace(file_id=foreign_id, version_id=foreign_version),
        mine_named._replace(version_id=foreign_version),
        theirs_named._replace(version_id=world.version_id),
        mine._replace(user_id=stranger.id),
        mine._replace(session_id=stranger.session_id),
        mine._replace(session_id=None),
        lent_mine._replace(user_id=stranger.id),
        lent_theirs._replace(version_id=world.version_id),
    ]

    opened = await world.find(mine, theirs, mine_named, theirs_named, lent_mine, lent_theirs, *crossed)

    assert {want: download.blob_key for want, download in opened.items() if want not in crossed} == {
        mine: "k1",
        mine_named: "k1",
        theirs: "k2",
        theirs_named: "k2",
        lent_mine: "k1",
        lent_theirs: "k2",
    }
    assert not set(crossed) & set(opened)
    assert all((want.user_id, want.file_id) == (found.user_id, found.file_id) for want, found in opened.items())
    assert not await world.find()


async def test_many_files_are_opened_together(world: World) -> None:
    files = [await add_file(world.db, world.owner, Bytes(b"x" * number, f"many{number}")) for number in range(10)]
    owner = world.owner
    wanted = [Wanted(owner.id, file_id, None, owner.session_id) for file_id, _ in files]
    named = [Wanted(owner.id, file_id, version_id, owner.session_id) for file_id, version_id in files]

    opened = await world.find(*wanted, *named)

    assert [opened[want].size for want in wanted] == list(range(10))
    assert [opened[want].blob_key for want in named] == [f"many{number}" for number in range(10)]
    assert len(opened) == 20


@pytest.mark.parametrize("status", [FileStatus.QUARANTINED, FileStatus.REJECTED])
async def test_only_ready_files_are_opened(world: World, status: FileStatus) -> None:
    file_id, _ = await add_file(world.db, world.owner, Bytes(b"bad", "k2", status=status))

    assert await replace(world, file_id=file_id).open(world.owner) is None


async def test_bytes_that_are_being_removed_are_not_found(world: World) -> None:
    async with world.db.transaction() as tx:
        await tx.execute(update(Blob).values(deleted_at=NOW))

    assert await world.open(world.owner) is None


async def test_a_disabled_user_opens_nothing(world: World) -> None:
    async with world.db.transaction() as tx:
        await tx.execute(update(User).where(col(User.id) == world.owner.id).values(disabled_at=NOW))

    assert await world.open(world.owner) is None
    assert await world.follow(world.link()) is None


async def test_a_session_that_was_ended_opens_nothing_and_a_link_that_it_signed_still_does(world: World) -> None:
    link = world.link()
    async with world.db.transaction() as tx:
        await tx.execute(update(Session).where(col(Session.id) == world.owner.session_id).values(revoked_at=NOW))

    assert await world.open(world.owner) is None
    assert await world.open(world.owner, world.version_id) is None
    assert await world.follow(link) is not None


async def test_a_link_opens_its_version_for_its_signer(world: World) -> None:
    opened = await world.follow(world.link())

    assert opened is not None
    assert (opened.user_id, opened.version_id, opened.is_pinned) == (world.owner.id, world.version_id, True)


async def test_a_link_is_under_the_public_url_and_names_ids_as_the_schema_does(world: World) -> None:
    url = urlsplit(world.url(60, Disposition.INLINE))

    assert f"{url.scheme}://{url.netloc}" == "https://files.example"
    assert url.path == f"/files/file_{world.file_id.hex}/versions/ver_{world.version_id.hex}/download"
    assert parse_qs(url.query)["disposition"] == ["inline"]
    assert parse_qs(url.query)["expires"] == [str(int(NOW.timestamp()) + 60)]


async def test_a_link_lasts_exactly_as_long_as_it_says(world: World) -> None:
    link = world.link(60)

    world.clock.forward(seconds=59, milliseconds=999)
    await world.follow(link)
    world.clock.forward(milliseconds=1)
    with pytest.raises(ExpiredCredential):
        await world.follow(link)


async def test_no_part_of_a_link_can_be_changed(world: World) -> None:
    link = world.link()
    changed = [
        replace(link, file_id=uuid7()),
        replace(link, version_id=uuid7()),
        replace(link, disposition=Disposition.INLINE),
        replace(link, expires=link.expires + 1),
        replace(link, signer_id=world.stranger.id),
        replace(link, signature=link.signature[:-1]),
        replace(link, signature=""),
        replace(link, signature="é"),
    ]

    for forged in changed:
        with pytest.raises(BadCredential) as refused:
            await world.follow(forged)
        assert not isinstance(refused.value, ExpiredCredential)


async def test_a_forged_link_is_not_told_that_it_has_expired(world: World) -> None:
    link = world.link(1)
    world.clock.forward(days=1)

    with pytest.raises(BadCredential) as refused:
        await world.follow(replace(link, signature="x" * 43))

    assert not isinstance(refused.value, ExpiredCredential)


async def test_a_link_stops_working_when_its_signer_loses_the_right(world: World) -> None:
    link = world.link()
    async with world.db.transaction() as tx:
        await tx.execute(delete(Member).where(col(Member.user_id) == world.owner.id))

    assert await world.follow(link) is None


async def test_nobody_signs_nothing(world: World) -> None:
    with pytest.raises(NotSignedIn):
        sign_download(world.ports, NOBODY, LinkTerms(world.file_id, world.version_id, Disposition.INLINE, 60))


@pytest.mark.parametrize("seconds", [-1, 0, 7 * 24 * 3600 + 1, 2**63])
async def test_links_last_between_a_second_and_seven_days(world: World, seconds: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        world.url(seconds)

    assert refused.value.path == ("expiresInSeconds",)
    assert world.url(1)
    assert world.url(7 * 24 * 3600)


def record(download: Download, event_id: UUID, sent: int, *, may_exist: bool = False) -> DownloadRecord:
    return DownloadRecord(event_id, download, RequestFacts("req-1", "192.0.2.1"), sent, NOW, may_exist)


async def events(world: World) -> Sequence[Row[Any]]:
    async with world.db.reading() as rows:
        return await rows.all(select(*inspect(Event).columns).order_by(col(Event.id)))


async def test_downloads_become_events_with_the_bytes_really_sent(world: World) -> None:
    download = await world.opened(world.owner)
    ids = [uuid7(), uuid7()]
    async with world.db.transaction() as tx:
        await record_downloads(tx, [record(download, ids[0], 5), record(download, ids[1], 3)])

    first, second = await events(world)
    assert (first.id, first.size, second.id, second.size) == (ids[0], 5, ids[1], 3)
    assert (first.kind, first.actor_id, first.target_id) == ("file.downloaded", world.owner.id, world.file_id)
    assert (first.workspace_id, first.created_at) == (world.owner.workspace_id, NOW)
    assert (first.address, first.request_id) == ("192.0.2.1", "req-1")
    assert first.data == {"versionId": str(world.version_id)}


async def test_what_may_have_been_written_is_written_once_and_grows(world: World) -> None:
    download = await world.opened(world.owner)
    ids = [uuid7() for _ in range(4)]
    async with world.db.transaction() as tx:
        await record_downloads(tx, [record(download, event_id, 1) for event_id in ids[:3]])
    async with world.db.transaction() as tx:
        again = [(ids[0], 1), (ids[1], 2**40), (ids[2], 3), (ids[3], 4)]
        await record_downloads(tx, [record(download, event_id, sent, may_exist=True) for event_id, sent in again])

    assert [(event.id, event.size) for event in await events(world)] == again


async def test_nothing_to_record_writes_nothing(world: World) -> None:
    async with world.db.transaction() as tx:
        await record_downloads(tx, [])

    assert await events(world) == []


async def test_a_second_content_keeps_its_own_time(world: World) -> None:
    later = NOW + timedelta(days=1)
    other = await add_version(world.db, world.file_id, 2, Bytes(b"hello again", "k2", created_at=later))
    async with world.db.transaction() as tx:
        await tx.execute(update(Version).where(col(Version.id) == world.version_id).values(number=3))

    assert (await world.opened(world.owner, other)).modified_at == later
    assert (await world.opened(world.owner)).number == 3
