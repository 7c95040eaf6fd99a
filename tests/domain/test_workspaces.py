"""Workspaces: made, renamed, deleted and listed, for everyone who may ask."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Database, Transaction
from db.models import File, Member, Workspace, WorkspaceRole
from db.questions import Window
from db.rows import WorkspaceRow
from domain import access, workspaces
from domain.errors import BadCredential, InvalidInput, NotFound, PersonalWorkspace, Refusal, WorkspaceNotEmpty
from domain.viewer import NOBODY, Viewer
from domain.workspaces import Deletion, NewName
from tests.records import NOW, Bytes, add_file, add_member, add_workspace
from tests.scenes import FACTS, Scene, Verb

WINDOW = Window(10)
UNSEEN = {"nobody": "NotSignedIn", "disabled": "NotFound", "stranger": "NotFound", "administrator": "NotFound"}


def create(scene: Scene, name: str) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await workspaces.create_workspace(tx, scene.ports, viewer, name, FACTS)

    return verb


def rename(scene: Scene, workspace_id: UUID, name: str = "Crew") -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await workspaces.rename_workspace(tx, scene.ports, viewer, NewName(workspace_id, name), FACTS)

    return verb


def delete(scene: Scene, workspace_id: UUID, *, purge_files: bool = False) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        deletion = Deletion(workspace_id, purge_files)
        return await workspaces.delete_workspace(tx, scene.ports, viewer, deletion, FACTS)

    return verb


async def names(db: Database) -> list[str]:
    async with db.reading() as rows:
        found = await rows.all(
            select(col(Workspace.name))
            .where(col(Workspace.personal_user_id).is_(None), col(Workspace.deleted_at).is_(None))
            .order_by(col(Workspace.id))
        )
    return [row.name for row in found]


async def test_whoever_is_signed_in_makes_a_workspace_and_owns_it(scene: Scene) -> None:
    told = await scene.outcomes(create(scene, "New"))
    assert told == {
        "nobody": "NotSignedIn",
        "disabled": "BadCredential",
        "stranger": "ok",
        "administrator": "ok",
        "viewer": "ok",
        "editor": "ok",
        "owner": "ok",
    }
    assert await names(scene.db) == ["Team", *["New"] * 5]
    async with scene.db.reading() as rows:
        [own] = await rows.all(
            select(col(Member.role), col(Member.workspace_id)).where(
                col(Member.user_id) == scene.id("stranger"),
                col(Member.workspace_id) != scene.people["stranger"].workspace_id,
            )
        )
    assert own.role == WorkspaceRole.OWNER
    events = await scene.events()
    assert events[0] == ("workspace.created", scene.id("stranger"), own.workspace_id, own.workspace_id)
    assert len(events) == 5


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Ships \u200b and sails\n", "Ships  and sails"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("\u202eevil", "evil"),
        ("x" * 100, "x" * 100),
        ("x\0y", "xy"),
        ("../Team", "../Team"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_name_is_kept_as_a_person_reads_it(scene: Scene, given: str, kept: str) -> None:
    made = await scene.ask("stranger", create(scene, given))
    assert isinstance(made, WorkspaceRow)
    assert made.name == kept


@pytest.mark.parametrize("name", ["", " ", "\u200b\u2060", "x" * 101, "\ud800", "a\u0301" * 500_000])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_name_that_is_empty_too_long_or_no_text_is_refused(scene: Scene, name: str) -> None:
    for verb in (create(scene, name), rename(scene, scene.workspace_id, name)):
        assert isinstance(await scene.ask("owner", verb), InvalidInput)
    assert await names(scene.db) == ["Team"]
    assert await scene.events() == []


async def test_only_an_owner_renames_and_others_see_no_more_than_before(scene: Scene) -> None:
    told = await scene.outcomes(rename(scene, scene.workspace_id))
    assert told == {**UNSEEN, "viewer": "Forbidden", "editor": "Forbidden", "owner": "ok"}
    assert await names(scene.db) == ["Crew"]
    place = scene.workspace_id
    assert await scene.events() == [("workspace.renamed", scene.id("owner"), place, place)]


async def test_only_an_owner_deletes(scene: Scene) -> None:
    told = await scene.outcomes(delete(scene, scene.workspace_id))
    assert told == {**UNSEEN, "viewer": "Forbidden", "editor": "Forbidden", "owner": "ok"}
    assert await names(scene.db) == []
    place = scene.workspace_id
    assert await scene.events() == [("workspace.deleted", scene.id("owner"), place, place)]
    # Gone for everybody alike, the one who deleted it included.
    for verb in (rename(scene, place), delete(scene, place)):
        outcome = await scene.ask("owner", verb)
        assert isinstance(outcome, NotFound)
    async with scene.db.reading() as rows:
        assert await workspaces.by_ids(rows, scene.viewer("owner"), [place]) == []
        assert await workspaces.known_by_ids(rows, scene.viewer("administrator"), [place]) == []


async def test_what_is_not_visible_reads_like_what_is_absent(scene: Scene) -> None:
    for make in (rename, delete):
        hidden = await scene.ask("stranger", make(scene, scene.workspace_id))
        absent = await scene.ask("stranger", make(scene, uuid7()))
        assert isinstance(hidden, NotFound)
        assert isinstance(absent, NotFound)
        assert (hidden.message, hidden.path) == (absent.message, absent.path)


async def test_a_personal_workspace_is_renamed_and_not_deleted(scene: Scene) -> None:
    own = scene.people["owner"].workspace_id
    assert isinstance(await scene.ask("owner", rename(scene, own)), WorkspaceRow)
    assert isinstance(await scene.ask("owner", delete(scene, own, purge_files=True)), PersonalWorkspace)


async def test_a_workspace_with_files_is_deleted_only_when_they_may_go_with_it(scene: Scene) -> None:
    there = replace(scene.people["owner"], workspace_id=scene.workspace_id)
    for number, told in enumerate(("The workspace has 1 file: ", "The workspace has 2 files: ")):
        await add_file(scene.db, there, Bytes(b"x", f"key{number}"))
        refused = await scene.ask("owner", delete(scene, scene.workspace_id))
        assert isinstance(refused, WorkspaceNotEmpty)
        assert refused.files == number + 1
        assert refused.message == told + "purge them first, or with it."
    assert isinstance(await scene.ask("owner", delete(scene, scene.workspace_id, purge_files=True)), WorkspaceRow)
    assert await names(scene.db) == []


async def test_a_file_that_comes_in_while_its_workspace_is_deleted_is_counted_or_refused(scene: Scene) -> None:
    """Held by the upload, the workspace is not found empty; deleted first, the upload finds nothing."""
    held = asyncio.Event()
    editor = scene.viewer("editor")

    async def upload() -> object:
        async with scene.db.transaction() as tx:
            [outcome] = await access.held_workspaces(tx, [(editor, scene.workspace_id)])
            held.set()
            if not isinstance(outcome, Refusal):
                await asyncio.sleep(0.2)
                await tx.add(file_row(scene.id("editor"), scene.workspace_id))
            return outcome

    async def remove() -> object:
        await held.wait()
        return await scene.ask("owner", delete(scene, scene.workspace_id))

    uploaded, removed = await asyncio.gather(upload(), remove())
    assert isinstance(uploaded, access.Access)
    assert isinstance(removed, WorkspaceNotEmpty)
    async with scene.db.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(File)) == 1
    await scene.ask("owner", delete(scene, scene.workspace_id, purge_files=True))
    async with scene.db.transaction() as tx:
        [late] = await access.held_workspaces(tx, [(editor, scene.workspace_id)])
    assert isinstance(late, NotFound)


def file_row(user_id: UUID, workspace_id: UUID) -> File:
    return File(
        workspace_id=workspace_id,
        uploaded_by_id=user_id,
        name="a",
        name_folded="a",
        version_id=uuid7(),
        size=1,
        media_type="text/plain",
        digest="d",
        created_at=NOW,
        updated_at=NOW,
    )


async def test_workspaces_of_an_account_are_for_the_person_and_administrators(scene: Scene) -> None:
    owner, own = scene.id("owner"), scene.people["owner"].workspace_id
    async with scene.db.reading() as rows:
        for name, roles in (
            ("owner", {own: "OWNER", scene.workspace_id: "OWNER"}),
            ("administrator", {own: None, scene.workspace_id: None}),
        ):
            pages = await workspaces.pages(rows, scene.viewer(name), [owner], WINDOW)
            assert {row.id: row.viewer_role for row in pages[owner].items} == roles
            assert await workspaces.counts(rows, scene.viewer(name), [owner], None) == {owner: 2}
        assert await workspaces.pages(rows, scene.viewer("editor"), [owner], WINDOW) == {}
        assert await workspaces.counts(rows, scene.viewer("editor"), [owner], None) == {}


async def test_an_administrator_knows_of_every_workspace_and_others_of_their_own(scene: Scene) -> None:
    async def known(viewer: Viewer) -> list[str | None]:
        async with scene.db.reading() as rows:
            return [row.viewer_role for row in await workspaces.known_by_ids(rows, viewer, [scene.workspace_id])]

    assert await known(scene.viewer("administrator")) == [None]
    assert await known(scene.viewer("viewer")) == ["VIEWER"]
    assert await known(scene.viewer("stranger")) == []
    assert await known(NOBODY) == []


async def test_pages_of_several_people_are_each_right_in_both_directions(scene: Scene) -> None:
    administrator, people = scene.viewer("administrator"), [scene.id("owner"), scene.id("stranger"), scene.id("editor")]
    for number in range(5):
        place = await add_workspace(scene.db, f"W{number}")
        await add_member(scene.db, place, scene.id("stranger"))
    async with scene.db.reading() as rows:
        ahead = await workspaces.pages(rows, administrator, people, Window(2))
        back = await workspaces.pages(rows, administrator, people, Window(2, is_backward=True))
    assert [len(ahead[each].items) for each in people] == [2, 2, 2]
    assert [ahead[each].has_next for each in people] == [False, True, False]
    assert [row.name for row in back[people[1]].items] == ["W3", "W4"]
    assert back[people[1]].has_previous
    assert back[people[0]].items == ahead[people[0]].items


async def test_an_account_that_is_deleted_at_the_same_moment_leaves_no_workspace_behind(scene: Scene) -> None:
    assert isinstance(await scene.ask("disabled", create(scene, "Orphan")), BadCredential)
    assert await names(scene.db) == ["Team"]
