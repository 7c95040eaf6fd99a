"""What is asked by ids costs what was named, however much there is of everything else, and whatever is known of it.

A select that names rows by unique keys belongs into QUESTIONS, and so does every statement of the way of an upload or a
download. The planner is asked in all the ways in which it may be misled: it knows nothing, as before the first ANALYZE;
it knows the crowd, where nearly every workspace is small and one is not; or it knows what was there before the crowd.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import product
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from db import (
    activity_summaries,
    api_keys,
    blobs,
    downloads,
    events,
    files,
    invitations,
    members,
    new_versions,
    quotas,
    sessions,
    uploads,
    users,
    versions,
    workspaces,
)
from db.analytics import Period
from db.analytics_deltas import DeltaRow
from db.engine import Database, Transaction
from db.models import Blob, Event, File, QuotaKind, Version
from db.new_versions import NewRows
from db.questions import EventFilter, Window
from tests.costs import looked_at, steps_of
from tests.crowds import Asker, Crowd, Filling, begin_crowd, end_crowd
from tests.databases import Databases
from tests.records import NOW
from tests.servers import create_database, drop_database

FEW = 150
"""More than named rows need of any table or index, with what the planner looks at, and much less than the crowd has."""
OF_KINDS = EventFilter(kinds=("file.uploaded", "file.downloaded", "user.logged_in"))
FEW_STEPS = 2000
WINDOW = Window(5)
DAY = Period(NOW.date(), NOW.date())
PLANS = ["force_generic_plan", "force_custom_plan"]
Ask = Callable[[Transaction, Crowd, Asker], Awaitable[object]]


class Abandoned(Exception):  # noqa: N818
    """Ends a transaction whose work is not wanted."""


class Place(NamedTuple):
    db: Database
    crowd: Crowd


QUESTIONS: dict[str, Ask] = {
    "files.by_ids": lambda tx, crowd, asker: files.by_ids(tx, asker.id, crowd.file_ids),
    "files.lock_with_numbers": lambda tx, crowd, _: files.lock_with_numbers(tx, crowd.file_ids),
    "files.versions_of_blob": lambda tx, crowd, _: files.versions_of_blob(tx, _keys(crowd)[0]),
    "files.purge": lambda tx, crowd, _: files.purge(tx, crowd.file_ids),
    "files.sizes_in": lambda tx, crowd, _: files.sizes_in(tx, crowd.shared_id, 5),
    "versions.by_ids": lambda tx, crowd, asker: versions.by_ids(tx, asker.id, crowd.version_ids),
    "versions.pages": lambda tx, crowd, asker: versions.pages(tx, asker.id, crowd.file_ids, WINDOW),
    "versions.pages of one": lambda tx, crowd, asker: versions.pages(tx, asker.id, crowd.file_ids[:1], WINDOW),
    "versions.counts": lambda tx, crowd, asker: versions.counts(tx, asker.id, crowd.file_ids),
    "downloads.current": lambda tx, crowd, asker: downloads.current_contents(tx, [asker.session_id], crowd.file_ids),
    "downloads.current of one": lambda tx, crowd, asker: downloads.current_contents(
        tx, [asker.session_id], crowd.file_ids[:1]
    ),
    "downloads.current of many versions": lambda tx, crowd, asker: downloads.current_contents(
        tx, [asker.session_id], [crowd.worn_file_id]
    ),
    "downloads.named": lambda tx, crowd, asker: downloads.named_contents(tx, [asker.session_id], crowd.version_ids),
    "downloads.named of one": lambda tx, crowd, asker: downloads.named_contents(
        tx, [asker.session_id], crowd.version_ids[:1]
    ),
    "downloads.lent": lambda tx, crowd, asker: downloads.lent_contents(tx, [asker.id], crowd.version_ids),
    "downloads.lent of one": lambda tx, crowd, asker: downloads.lent_contents(tx, [asker.id], crowd.version_ids[:1]),
    "downloads.current_by_keys": lambda tx, crowd, asker: downloads.current_contents_by_keys(
        tx, [asker.secret_hash], crowd.file_ids
    ),
    "downloads.named_by_keys": lambda tx, crowd, asker: downloads.named_contents_by_keys(
        tx, [asker.secret_hash], crowd.version_ids
    ),
    "downloads.written": lambda tx, crowd, _: downloads.written(tx, crowd.file_ids),
    "workspaces.by_ids": lambda tx, crowd, asker: workspaces.by_ids(tx, asker.id, [crowd.shared_id]),
    "workspaces.memberships": lambda tx, crowd, asker: workspaces.memberships(tx, [asker.id], [crowd.shared_id]),
    "workspaces.memberships of many": lambda tx, crowd, _: workspaces.memberships(tx, *_many(crowd)),
    "workspaces.hold_memberships": lambda tx, crowd, asker: workspaces.hold_memberships(
        tx, [asker.id], [crowd.shared_id]
    ),
    "workspaces.hold_memberships of many": lambda tx, crowd, _: workspaces.hold_memberships(tx, *_many(crowd)),
    "workspaces.personal_memberships": lambda tx, _, asker: workspaces.personal_memberships(tx, [asker.id]),
    "workspaces.personal_memberships of many": lambda tx, crowd, _: workspaces.personal_memberships(
        tx, _many(crowd)[0]
    ),
    "workspaces.personal_of": lambda tx, crowd, asker: workspaces.personal_of(tx, asker.id, _many(crowd)[0]),
    "workspaces.existing": lambda tx, crowd, asker: workspaces.existing(tx, asker.id, [crowd.shared_id]),
    "workspaces.standing": lambda tx, crowd, asker: workspaces.standing(tx, asker.id, crowd.shared_id),
    "workspaces.lock": lambda tx, crowd, _: workspaces.lock(tx, [crowd.shared_id]),
    "uploads.by_ids": lambda tx, _, asker: uploads.by_ids(tx, asker.id, [asker.upload_id]),
    "uploads.lent": lambda tx, _, asker: uploads.lent(tx, asker.upload_id),
    "uploads.lock": lambda tx, _, asker: uploads.lock(tx, asker.upload_id),
    "uploads.lock_live": lambda tx, _, asker: uploads.lock_live(tx, [asker.upload_id]),
    "uploads.live_keys": lambda tx, crowd, _: uploads.live_keys(tx, _keys(crowd)),
    "uploads.change": lambda tx, _, asker: uploads.change(tx, asker.upload_id, uploads.GROWING, {"received": 1}),
    "members.find": lambda tx, crowd, asker: members.find(tx, crowd.shared_id, asker.id),
    "members.remove": lambda tx, crowd, asker: members.remove(tx, crowd.shared_id, asker.id),
    "members.counts": lambda tx, _, asker: members.counts(tx, asker.id, [asker.workspace_id]),
    "users.by_ids": lambda tx, crowd, _: users.by_ids(tx, _many(crowd)[0]),
    # Whom a person may see is looked for in what one of the two is a member of, which is much for a busy one.
    "users.visible_by_ids": lambda tx, crowd, _: users.visible_by_ids(tx, crowd.quiet.id, [crowd.neighbour.id]),
    "invitations.find": lambda tx, crowd, asker: invitations.find(tx, asker.id, crowd.invitation_id, NOW),
    "invitations.sent": lambda tx, crowd, asker: invitations.sent(tx, asker.id, crowd.invitation_id),
    "invitations.offer": lambda tx, _, asker: invitations.offer(tx, asker.id, "0" * 64, NOW),
    "sessions.live": lambda tx, _, asker: sessions.live(tx, [asker.session_id]),
    "sessions.live of many": lambda tx, crowd, asker: sessions.live(tx, [asker.session_id, crowd.quiet.session_id]),
    "sessions.hold_own": lambda tx, _, asker: sessions.hold_own(tx, asker.id, asker.session_id, NOW),
    "sessions.revoke": lambda tx, _, asker: sessions.revoke(tx, asker.session_id, NOW),
    "api_keys.presented": lambda tx, _, asker: api_keys.presented(tx, [asker.secret_hash]),
    "api_keys.own": lambda tx, _, asker: api_keys.own(tx, asker.id, asker.api_key_id),
    "api_keys.hold_own": lambda tx, _, asker: api_keys.hold_own(tx, asker.id, asker.api_key_id),
    "api_keys.note_uses": lambda tx, _, asker: api_keys.note_uses(tx, [asker.api_key_id], NOW, timedelta(1)),
    "quotas.by_ids": lambda tx, crowd, _: quotas.by_ids(tx, _many(crowd)[0]),
    "quotas.lock": lambda tx, crowd, _: quotas.lock(tx, _many(crowd)[0]),
    "quotas.post": lambda tx, _, asker: quotas.post(tx, [quotas.Entry(asker.id, QuotaKind.USER, 1, 0, 0)]),
    "blobs.existing": lambda tx, crowd, _: blobs.existing(tx, _keys(crowd)),
    "blobs.mark_deleted": lambda tx, crowd, _: blobs.mark_deleted(tx, _keys(crowd), NOW),
    "blobs.forget": lambda tx, crowd, _: blobs.forget(tx, _keys(crowd)),
    "new_versions.add": lambda tx, crowd, asker: new_versions.add(tx, _content_of(crowd, asker)),
    "activity_summaries.of_users": lambda tx, _, asker: activity_summaries.of_users(tx, [asker.id], DAY),
}


PAGES: dict[str, Ask] = {
    "members": lambda tx, crowd, asker: members.pages(tx, asker.id, [crowd.shared_id], WINDOW),
    "versions": lambda tx, crowd, asker: versions.pages(tx, asker.id, [crowd.worn_file_id], WINDOW),
    "sessions": lambda tx, crowd, _: sessions.pages(tx, [crowd.busy.id], WINDOW, NOW),
    "api_keys": lambda tx, crowd, _: api_keys.pages(tx, [crowd.busy.id], WINDOW),
    "events": lambda tx, crowd, asker: events.pages(tx, asker.id, [crowd.busy.id], OF_KINDS, WINDOW),
}
"""Lists of one who owns many. Whoever plans has to know that they are many."""


def _content_of(crowd: Crowd, asker: Asker) -> NewRows:
    made = Filling()
    made.file(crowd.shared_id, asker.id)
    made.add(Event, kind="file.uploaded", actor_id=asker.id, workspace_id=crowd.shared_id)
    delta = DeltaRow(NOW.date(), crowd.shared_id, asker.id, "text/plain", files=1, bytes=1, uploads=1, uploaded=1)
    return NewRows(made.rows[Blob], made.rows[File], made.rows[Version], made.rows[Event], [delta])


def _keys(crowd: Crowd) -> list[str]:
    return [version_id.hex for version_id in crowd.version_ids]


def _many(crowd: Crowd) -> tuple[list[UUID], list[UUID]]:
    return [crowd.quiet.id, crowd.busy.id, uuid7()], [crowd.shared_id, crowd.quiet.workspace_id, uuid7()]


@pytest.fixture(params=["nothing", "the crowd", "what was before"])
def known(request: pytest.FixtureRequest) -> str:
    """What the planner knows."""
    return str(request.param)


@pytest.fixture
def crowded_url(databases: Databases, known: str) -> Iterator[str]:
    # One that no test has had before: the planner would look through what is left of its rows.
    own = databases.migrated.set(database=f"{known} {uuid4().hex}")
    create_database(own, template=databases.migrated.database or "")
    yield own.render_as_string(hide_password=False)
    drop_database(own)


@pytest.fixture
async def place(crowded_url: str, known: str) -> AsyncIterator[Place]:
    """A PostgreSQL with a crowd that only reads."""
    db = Database(crowded_url)
    filling = Filling()
    begun = begin_crowd(filling)
    await filling.write(db)
    if known == "what was before":
        await _analyze(db)
    crowd = end_crowd(filling, begun)
    await filling.write(db)
    if known == "the crowd":
        await _analyze(db)
    yield Place(db, crowd)
    await db.close()


@pytest.fixture
async def embedded(sqlite_url: str) -> AsyncIterator[Place]:
    """A SQLite with a crowd that only reads."""
    db = Database(sqlite_url)
    filling = Filling()
    crowd = end_crowd(filling, begin_crowd(filling))
    await filling.write(db)
    yield Place(db, crowd)
    await db.close()


async def _analyze(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(text("ANALYZE"))


# A crowd takes seconds to make: one test asks it everything.
async def test_what_is_named_is_found_without_looking_at_anything_else(place: Place, known: str) -> None:
    asked = [*product(QUESTIONS, PLANS)]
    if known == "the crowd":
        asked += [(name, "force_custom_plan") for name in PAGES]
    looks: dict[tuple[str, str, str], int] = {}
    for (name, plan), asker in product(asked, (place.crowd.quiet, place.crowd.busy)):
        async with _abandoned(place.db) as tx:
            await tx.execute(text(f"SET LOCAL plan_cache_mode = {plan}"))
            read = await looked_at(tx, _asking(name, place.crowd, asker))
        assert read, name
        looks |= {(name, plan, of): number for of, number in read.items() if number > FEW}
    assert looks == {}


async def test_nor_is_it_where_the_database_is_embedded(embedded: Place) -> None:
    steps = {}
    for name, asker in product(QUESTIONS | PAGES, (embedded.crowd.quiet, embedded.crowd.busy)):
        async with _abandoned(embedded.db) as tx:
            steps[name, asker.id] = await steps_of(tx, _asking(name, embedded.crowd, asker))
    assert {asked: number for asked, number in steps.items() if not 0 < number < FEW_STEPS} == {}


def _asking(name: str, crowd: Crowd, asker: Asker) -> Callable[[Transaction], Awaitable[object]]:
    return lambda tx: (QUESTIONS | PAGES)[name](tx, crowd, asker)


@asynccontextmanager
async def _abandoned(db: Database) -> AsyncIterator[Transaction]:
    """A transaction of which nothing stays: whoever is asked next finds the same."""
    with suppress(Abandoned):
        async with db.transaction() as tx:
            yield tx
            raise Abandoned
