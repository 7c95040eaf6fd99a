"""The end of an account, for everyone who may ask, with everything it owns."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Transaction
from db.models import Event, File, Member, User, UserRole, Workspace, WorkspaceRole
from db.rows import CredentialsRow
from domain import departures
from domain.departures import Departed, Departure, OwnDeparture
from domain.errors import (
    InvalidInput,
    LastAdministrator,
    NotForKeys,
    NotFound,
    OwnsWorkspaces,
    Refusal,
    WrongPassword,
)
from domain.proofs import Proof
from domain.viewer import Viewer
from tests.domain.test_administration import ONLY_ADMINISTRATORS
from tests.records import Bytes, Person, add_file, add_member, add_person, add_workspace
from tests.scenes import FACTS, Scene, Verb


def delete(scene: Scene, user_id: UUID, hand_over_to: UUID | None = None) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await departures.delete_user(tx, scene.ports, viewer, Departure(user_id, hand_over_to), FACTS)

    return verb


async def is_there(scene: Scene, user_id: UUID) -> bool:
    async with scene.db.reading() as rows:
        return await rows.first(select(col(User.id)).where(col(User.id) == user_id)) is not None


async def owners(scene: Scene, workspace_id: UUID) -> set[UUID]:
    async with scene.db.reading() as rows:
        found = await rows.all(
            select(col(Member.user_id)).where(
                col(Member.workspace_id) == workspace_id, col(Member.role) == WorkspaceRole.OWNER
            )
        )
    return {row.user_id for row in found}


async def test_only_an_administrator_deletes_accounts(scene: Scene) -> None:
    editor = scene.people["editor"]
    assert await scene.outcomes(delete(scene, editor.id), without="editor") == {
        name: outcome for name, outcome in ONLY_ADMINISTRATORS.items() if name != "editor"
    }
    assert not await is_there(scene, editor.id)
    assert await scene.events() == [("user.deleted", scene.id("administrator"), None, editor.id)]
    async with scene.db.reading() as rows:
        gone = await rows.first(select(col(Workspace.deleted_at)).where(col(Workspace.id) == editor.workspace_id))
        assert await rows.scalar(select(col(Event.data))) == {"username": "editor"}
    assert gone is not None
    assert gone.deleted_at is not None
    refusal = await scene.ask("administrator", delete(scene, editor.id))
    assert isinstance(refusal, NotFound)


async def test_what_a_user_brought_to_a_shared_workspace_stays_without_a_name(scene: Scene) -> None:
    editor = scene.people["editor"]
    shared, _ = await add_file(scene.db, replace(editor, workspace_id=scene.workspace_id), Bytes(b"x", "a" * 32))
    own, _ = await add_file(scene.db, editor, Bytes(b"y", "b" * 32))
    departed = await scene.ask("administrator", delete(scene, editor.id))
    assert isinstance(departed, Departed)
    assert departed.workspace_ids == [editor.workspace_id]
    async with scene.db.reading() as rows:
        found = await rows.all(select(col(File.id), col(File.uploaded_by_id)))
    assert {row.id: row.uploaded_by_id for row in found} == {shared: None, own: None}


async def test_workspaces_that_nobody_else_owns_are_named_and_not_left_behind(scene: Scene) -> None:
    owner = scene.id("owner")
    await add_workspace(scene.db, "Second", owner=(owner, WorkspaceRole.OWNER))
    both = await add_workspace(
        scene.db, "Both", a=(owner, WorkspaceRole.OWNER), b=(scene.id("editor"), WorkspaceRole.OWNER)
    )
    refusal = await scene.ask("administrator", delete(scene, owner))
    assert isinstance(refusal, OwnsWorkspaces)
    # The other owner of Team is disabled, and owners who cannot sign in do not count.
    assert refusal.names == ("Team", "Second")
    assert refusal.message == "Nobody else owns Team, Second: hand them over."
    assert await is_there(scene, owner)
    assert await owners(scene, both) == {owner, scene.id("editor")}
    assert await scene.events() == []


async def test_workspaces_are_handed_over_to_members_and_to_others(scene: Scene) -> None:
    owner, heir = scene.id("owner"), scene.id("viewer")
    second = await add_workspace(scene.db, "Second", owner=(owner, WorkspaceRole.OWNER))
    assert isinstance(await scene.ask("administrator", delete(scene, owner, heir)), Departed)
    assert await owners(scene, second) == {heir}
    assert await owners(scene, scene.workspace_id) == {heir, scene.id("disabled")}
    administrator = scene.id("administrator")
    assert await scene.events() == [
        ("workspace.handed_over", administrator, scene.workspace_id, scene.workspace_id),
        ("workspace.handed_over", administrator, second, second),
        ("user.deleted", administrator, None, owner),
    ]


async def test_an_heir_is_somebody_else_who_can_sign_in(scene: Scene) -> None:
    owner = scene.id("owner")
    for heir, refusal in ((owner, InvalidInput), (scene.id("disabled"), NotFound), (uuid7(), NotFound)):
        outcome = await scene.ask("administrator", delete(scene, owner, heir))
        assert type(outcome) is refusal
        assert isinstance(outcome, Refusal)
        assert outcome.path == ("handOverTo",)
    assert await is_there(scene, owner)


async def test_the_last_administrator_is_not_deleted(scene: Scene) -> None:
    own = scene.id("administrator")
    assert isinstance(await scene.ask("administrator", delete(scene, own)), LastAdministrator)
    await add_person(scene.db, "second", role=UserRole.ADMIN)
    assert isinstance(await scene.ask("administrator", delete(scene, own)), Departed)


async def test_an_administrator_remains_after_fifty_try_to_delete_each_other(scene: Scene) -> None:
    administrators = [scene.people["administrator"]]
    administrators += [await add_person(scene.db, f"admin{number}", role=UserRole.ADMIN) for number in range(9)]

    async def go(asker: Person, target: Person) -> str:
        try:
            async with scene.db.transaction() as tx:
                await delete(scene, target.id)(tx, Viewer(asker.id, UserRole.ADMIN))
        except Refusal as refusal:
            return type(refusal).__name__
        return "ok"

    pairs = [
        (one, administrators[(place + turn) % 10]) for turn in range(5) for place, one in enumerate(administrators)
    ]
    outcomes = await asyncio.gather(*(go(*pair) for pair in pairs))
    assert set(outcomes) <= {"ok", "LastAdministrator", "AdministratorsOnly", "NotFound"}
    async with scene.db.reading() as rows:
        left = await rows.all(select(col(User.id)).where(col(User.role) == "ADMIN"))
    assert len(left) == 1


async def test_a_long_list_of_workspaces_is_told_in_part(scene: Scene) -> None:
    for number in range(101):
        await add_workspace(scene.db, f"W{number}", owner=(scene.id("stranger"), WorkspaceRole.OWNER))
    refusal = await scene.ask("administrator", delete(scene, scene.id("stranger")))
    assert isinstance(refusal, OwnsWorkspaces)
    assert len(refusal.names) == 100
    assert refusal.message.endswith(" and others: hand them over.")


async def test_a_member_of_many_workspaces_leaves_each_of_them(scene: Scene) -> None:
    place = await add_workspace(scene.db, "Other", owner=(scene.id("owner"), WorkspaceRole.OWNER))
    await add_member(scene.db, place, scene.id("viewer"))
    assert isinstance(await scene.ask("administrator", delete(scene, scene.id("viewer"))), Departed)
    async with scene.db.reading() as rows:
        assert await rows.all(select(col(Member.role)).where(col(Member.user_id) == scene.id("viewer"))) == []


def leave(scene: Scene, hand_over_to: UUID | None = None, *, is_right: bool = True) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        compared = CredentialsRow(viewer.user_id, "-") if viewer.user_id else None
        departure = OwnDeparture(Proof(compared, is_right), hand_over_to)
        return await departures.delete_account(tx, scene.ports, viewer, departure, FACTS)

    return verb


async def test_whoever_proves_the_password_deletes_the_own_account(scene: Scene) -> None:
    outcomes = await scene.outcomes(leave(scene))
    assert outcomes == {
        "nobody": "NotSignedIn",
        "disabled": "WrongPassword",
        "stranger": "ok",
        "administrator": "LastAdministrator",
        "viewer": "ok",
        "editor": "ok",
        "owner": "OwnsWorkspaces",
    }
    gone = {name for name in scene.people if not await is_there(scene, scene.id(name))}
    assert gone == {"stranger", "viewer", "editor"}
    told = [(kind, actor, target) for kind, actor, _, target in await scene.events() if kind == "user.deleted"]
    assert told == [("user.deleted", scene.id(name), scene.id(name)) for name in ("stranger", "viewer", "editor")]


async def test_a_wrong_password_deletes_nothing_and_is_recorded(scene: Scene) -> None:
    refusal = await scene.ask("editor", leave(scene, is_right=False))
    assert isinstance(refusal, WrongPassword)
    assert refusal.path == ("password",)
    assert await is_there(scene, scene.id("editor"))
    assert [kind for kind, *_ in await scene.events()] == ["reauthentication.failed"]


async def test_no_key_deletes_its_owner(scene: Scene) -> None:
    async with scene.db.transaction() as tx:
        with pytest.raises(NotForKeys):
            await leave(scene)(tx, Viewer(scene.id("editor"), api_key_id=uuid7()))


async def test_workspaces_without_another_member_go_with_the_account(scene: Scene) -> None:
    stranger = scene.people["stranger"]
    alone = await add_workspace(scene.db, "Alone", owner=(stranger.id, WorkspaceRole.OWNER))
    await add_file(scene.db, replace(stranger, workspace_id=alone), Bytes(b"x", "a" * 32))
    departed = await scene.ask("stranger", leave(scene))
    assert isinstance(departed, Departed)
    assert departed.workspace_ids == [alone, stranger.workspace_id]
    async with scene.db.reading() as rows:
        left = await rows.all(select(col(Workspace.id)).where(col(Workspace.deleted_at).is_not(None)))
        told = await rows.scalar(select(col(Event.data)).where(col(Event.kind) == "workspace.deleted"))
    assert {row.id for row in left} == {alone, stranger.workspace_id}
    assert told == {"name": "Alone", "files": 1}


async def test_who_leaves_hands_over_to_a_member_and_to_nobody_else(scene: Scene) -> None:
    owner = scene.id("owner")
    for heir, refusal in (
        (owner, InvalidInput),
        (scene.id("disabled"), NotFound),
        (scene.id("stranger"), NotFound),
        (uuid7(), NotFound),
    ):
        outcome = await scene.ask("owner", leave(scene, heir))
        assert type(outcome) is refusal
        assert isinstance(outcome, Refusal)
        assert outcome.path == ("handOverTo",)
    assert isinstance(await scene.ask("owner", leave(scene, scene.id("viewer"))), Departed)
    assert await owners(scene, scene.workspace_id) == {scene.id("viewer"), scene.id("disabled")}


async def test_an_administrator_remains_after_all_leave_at_once(scene: Scene) -> None:
    administrators = [scene.people["administrator"]]
    administrators += [await add_person(scene.db, f"admin{number}", role=UserRole.ADMIN) for number in range(9)]

    async def go(person: Person) -> str:
        try:
            async with scene.db.transaction() as tx:
                return type(await leave(scene)(tx, Viewer(person.id, UserRole.ADMIN))).__name__
        except Refusal as refusal:
            return type(refusal).__name__

    outcomes = await asyncio.gather(*(go(person) for person in administrators * 5))
    assert outcomes.count("Departed") == 9
    assert set(outcomes) == {"Departed", "LastAdministrator", "WrongPassword"}
