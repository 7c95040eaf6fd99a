"""What happened, as the audit log and the activity of an account tell it, to everyone who may ask."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from db.models import Event
from db.questions import EventFilter, Position, Window
from db.rows import EventRow
from domain import events
from domain.errors import AdministratorsOnly, NotSignedIn
from domain.events import EventKind, Subject, event, event_values
from domain.viewer import NOBODY, Viewer
from tests.costs import work_of
from tests.records import NOW, add_member
from tests.scenes import FACTS, Scene

MANY = 3000
WINDOW = Window(100)


async def happen(scene: Scene, kind: EventKind, subject: Subject, day: int = 0) -> UUID:
    row = event(kind, subject, FACTS, NOW + timedelta(days=day))
    async with scene.db.transaction() as tx:
        await tx.add(row)
    return row.id


async def log(scene: Scene, where: EventFilter, window: Window = WINDOW) -> list[EventRow]:
    administrator = scene.viewer("administrator")
    async with scene.db.reading() as rows:
        page = await events.page(rows, administrator, where, window)
        if window is WINDOW:
            assert await events.count(rows, administrator, where) == len(page.items)
    return list(page.items)


async def test_the_log_is_filtered_by_everything_and_begins_with_the_newest(scene: Scene) -> None:
    owner, editor, place = scene.id("owner"), scene.id("editor"), scene.workspace_id
    file_id = uuid7()
    ids = [
        await happen(scene, EventKind.FILE_UPLOADED, Subject(owner, place, file_id, 5), 0),
        await happen(scene, EventKind.FILE_RENAMED, Subject(editor, place, file_id), 1),
        await happen(scene, EventKind.LOGIN_FAILED, Subject(target_id=owner), 2),
        await happen(scene, EventKind.FILE_UPLOADED, Subject(owner, scene.people["owner"].workspace_id, uuid7()), 3),
    ]
    cases = {
        EventFilter(): [3, 2, 1, 0],
        EventFilter(actor_id=owner): [3, 0],
        EventFilter(workspace_id=place): [1, 0],
        EventFilter(target_id=file_id): [1, 0],
        EventFilter(kinds=("file.uploaded", "login.failed")): [3, 2, 0],
        EventFilter(kinds=()): [],
        EventFilter(created_from=NOW + timedelta(days=1)): [3, 2, 1],
        EventFilter(created_to=NOW + timedelta(days=1)): [0],
        EventFilter(actor_id=owner, kinds=("file.uploaded",), workspace_id=place, target_id=file_id): [0],
        EventFilter(actor_id=uuid7()): [],
    }
    for where, places in cases.items():
        assert [row.id for row in await log(scene, where)] == [ids[place] for place in places], where


async def test_an_event_that_is_written_late_stands_where_it_happened(scene: Scene) -> None:
    first = await happen(scene, EventKind.FILE_DOWNLOADED, Subject(scene.id("owner")), 2)
    late = await happen(scene, EventKind.FILE_DOWNLOADED, Subject(scene.id("owner")), 1)
    assert [row.id for row in await log(scene, EventFilter())] == [first, late]
    after = Window(1, after=Position(NOW + timedelta(days=2), first))
    assert [row.id for row in await log(scene, EventFilter(), after)] == [late]


async def test_events_of_several_kinds_come_in_pages_as_those_of_all_do(scene: Scene) -> None:
    kinds = (EventKind.FILE_UPLOADED, EventKind.LOGIN_FAILED, EventKind.FILE_PURGED)
    for number in range(13):
        # Some at the same moment, and some of a kind that is not asked for.
        await happen(
            scene, (*kinds, EventKind.FILE_RENAMED)[number * number % 4], Subject(target_id=uuid7()), number // 2
        )
    where = EventFilter(kinds=(*kinds, EventKind.EMAIL_CHANGED, *kinds), created_from=NOW + timedelta(days=1))
    whole = [row for row in await log(scene, EventFilter()) if row.kind in kinds and row.created_at > NOW]
    for is_backward in (False, True):
        found: list[EventRow] = []
        while True:
            edge = (
                Position(found[0 if is_backward else -1].created_at, found[0 if is_backward else -1].id)
                if found
                else None
            )
            window = Window(2, before=edge, is_backward=True) if is_backward else Window(2, after=edge)
            rows = await log(scene, where, window)
            if not rows:
                break
            found = rows + found if is_backward else found + rows
        assert found == whole


@pytest.mark.parametrize(
    "busy", [{}, {"actor_id": uuid7()}, {"workspace_id": uuid7()}], ids=["all", "user", "workspace"]
)
@pytest.mark.parametrize("kinds", [(EventKind.EMAIL_CHANGED,), (EventKind.EMAIL_CHANGED, EventKind.TWO_FACTOR_ENABLED)])
async def test_kinds_that_are_rare_cost_no_look_at_all_others(
    scene: Scene, busy: dict[str, Any], kinds: tuple[EventKind, ...]
) -> None:
    uploads = [
        event_values(EventKind.FILE_UPLOADED, Subject(target_id=uuid7(), **busy), FACTS, NOW) for _ in range(MANY)
    ]
    others = [event_values(kind, Subject(target_id=uuid7()), FACTS, NOW) for kind in kinds for _ in range(1000)]
    async with scene.db.transaction() as tx:
        await tx.insert(Event, uploads + (others if busy else []))
        await tx.execute(text("ANALYZE"))
    where = EventFilter(kinds=kinds, **busy)
    administrator = scene.viewer("administrator")
    assert await work_of(scene.db, lambda rows: events.page(rows, administrator, where, Window(20))) < MANY / 2


async def test_only_administrators_read_the_log(scene: Scene) -> None:
    async with scene.db.reading() as rows:
        with pytest.raises(NotSignedIn):
            await events.page(rows, NOBODY, EventFilter(), WINDOW)
        for name in ("stranger", "viewer", "editor", "owner"):
            with pytest.raises(AdministratorsOnly):
                await events.page(rows, scene.viewer(name), EventFilter(), WINDOW)
            with pytest.raises(AdministratorsOnly):
                await events.count(rows, scene.viewer(name), EventFilter())


async def test_names_of_files_are_told_to_members_and_to_who_did_it_alone(scene: Scene) -> None:
    names = {"from": "diary.txt", "to": "secrets.txt"}
    place = scene.workspace_id
    await happen(scene, EventKind.FILE_RENAMED, Subject(scene.id("editor"), place, uuid7(), data=names))
    await happen(scene, EventKind.WORKSPACE_RENAMED, Subject(scene.id("owner"), place, place, data={"to": "Crew"}), 1)
    [about_workspace, about_file] = await log(scene, EventFilter())
    assert (about_file.data, about_file.kind) == (None, "file.renamed")
    assert about_workspace.data == {"to": "Crew"}

    async def told_of_editor(viewer: Viewer) -> list[object]:
        async with scene.db.reading() as rows:
            found = await events.activity_pages(rows, viewer, [scene.id("editor")], (EventFilter(), WINDOW))
        return [row.data for page in found.values() for row in page.items]

    assert await told_of_editor(scene.viewer("administrator")) == [None]
    assert await told_of_editor(scene.viewer("editor")) == [names]
    await add_member(scene.db, place, scene.id("administrator"))
    assert await told_of_editor(scene.viewer("administrator")) == [names]
    assert [row.data for row in await log(scene, EventFilter())] == [{"to": "Crew"}, names]


async def test_what_somebody_did_is_for_the_person_and_administrators(scene: Scene) -> None:
    owner, editor = scene.id("owner"), scene.id("editor")
    for day in range(3):
        await happen(scene, EventKind.LOGIN_SUCCEEDED, Subject(owner), day)
    await happen(scene, EventKind.USER_CREATED, Subject(editor), 4)

    async def seen(viewer: Viewer, where: EventFilter) -> tuple[dict[UUID, int], dict[UUID, int]]:
        async with scene.db.reading() as rows:
            pages = await events.activity_pages(rows, viewer, [owner, editor], (where, Window(2)))
            counts = await events.activity_counts(rows, viewer, [owner, editor], where)
        return {key: len(page.items) for key, page in pages.items()}, dict(counts)

    everything = EventFilter()
    assert await seen(scene.viewer("administrator"), everything) == ({owner: 2, editor: 1}, {owner: 3, editor: 1})
    assert await seen(scene.viewer("owner"), everything) == ({owner: 2}, {owner: 3})
    assert await seen(scene.viewer("stranger"), everything) == ({}, {})
    assert await seen(scene.viewer("owner"), EventFilter(kinds=("user.created",))) == ({}, {})
    async with scene.db.reading() as rows:
        with pytest.raises(NotSignedIn):
            await events.activity_pages(rows, NOBODY, [owner], (everything, WINDOW))
        with pytest.raises(NotSignedIn):
            await events.activity_counts(rows, NOBODY, [owner], everything)
