"""Members: roles changed and memberships ended, for everyone who may ask, and the owner that always remains."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db import workspaces
from db.engine import Transaction
from db.models import Member, WorkspaceRole
from db.questions import Window
from db.rows import MemberRow, WorkspaceRow
from domain import members
from domain.errors import Forbidden, LastOwner, NotFound, NotSignedIn, PersonalWorkspace, Refusal
from domain.members import Membership, RoleChange
from domain.viewer import NOBODY, Viewer
from tests.records import add_member, add_person
from tests.scenes import FACTS, Scene, Verb

OWNER, EDITOR, VIEWER = WorkspaceRole.OWNER, WorkspaceRole.EDITOR, WorkspaceRole.VIEWER
UNSEEN = {"nobody": "NotSignedIn", "disabled": "NotFound", "stranger": "NotFound", "administrator": "NotFound"}


def update_role(scene: Scene, user_id: UUID, role: WorkspaceRole, workspace_id: UUID | None = None) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        membership = Membership(workspace_id or scene.workspace_id, user_id)
        return await members.update_member(tx, scene.ports, viewer, RoleChange(membership, role), FACTS)

    return verb


def remove(scene: Scene, user_id: UUID, workspace_id: UUID | None = None) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        membership = Membership(workspace_id or scene.workspace_id, user_id)
        return await members.remove_member(tx, scene.ports, viewer, membership, FACTS)

    return verb


def leave(scene: Scene, workspace_id: UUID | None = None) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await members.leave_workspace(tx, scene.ports, viewer, workspace_id or scene.workspace_id, FACTS)

    return verb


async def roles(scene: Scene) -> dict[str, str]:
    """Who is in the workspace, by the name in the scene where there is one."""
    names = {person.id: name for name, person in scene.people.items()}
    async with scene.db.reading() as rows:
        page = (await members.pages(rows, scene.viewer("administrator"), [scene.workspace_id], Window(100)))[
            scene.workspace_id
        ]
    return {names.get(row.user_id, str(row.user_id)): row.role for row in page.items}


async def test_only_an_owner_changes_roles(scene: Scene) -> None:
    editor = scene.id("editor")
    told = await scene.outcomes(update_role(scene, editor, VIEWER))
    assert told == {**UNSEEN, "viewer": "Forbidden", "editor": "Forbidden", "owner": "ok"}
    assert (await roles(scene))["editor"] == "VIEWER"
    assert await scene.events() == [("member.updated", scene.id("owner"), scene.workspace_id, editor)]


async def test_the_role_that_a_member_has_is_given_again_without_a_word(scene: Scene) -> None:
    assert isinstance(await scene.ask("owner", update_role(scene, scene.id("owner"), OWNER)), MemberRow)
    assert await scene.events() == []


async def test_only_an_owner_removes_members(scene: Scene) -> None:
    viewer = scene.id("viewer")
    told = await scene.outcomes(remove(scene, viewer))
    assert told == {**UNSEEN, "viewer": "Forbidden", "editor": "Forbidden", "owner": "ok"}
    assert set(await roles(scene)) == {"disabled", "editor", "owner"}
    assert await scene.events() == [("member.removed", scene.id("owner"), scene.workspace_id, viewer)]


async def test_members_leave_and_the_last_owner_stays(scene: Scene) -> None:
    told = await scene.outcomes(leave(scene))
    assert told == {**UNSEEN, "viewer": "ok", "editor": "ok", "owner": "LastOwner"}
    assert set(await roles(scene)) == {"disabled", "owner"}
    viewer, editor = scene.id("viewer"), scene.id("editor")
    assert await scene.events() == [
        ("member.left", viewer, scene.workspace_id, viewer),
        ("member.left", editor, scene.workspace_id, editor),
    ]


async def test_an_owner_who_cannot_sign_in_does_not_count(scene: Scene) -> None:
    owner = scene.id("owner")
    for verb in (update_role(scene, owner, EDITOR), remove(scene, owner), leave(scene)):
        assert isinstance(await scene.ask("owner", verb), LastOwner)
    disabled = scene.id("disabled")
    assert isinstance(await scene.ask("owner", update_role(scene, disabled, EDITOR)), MemberRow)
    await scene.ask("owner", update_role(scene, scene.id("editor"), OWNER))
    assert isinstance(await scene.ask("owner", leave(scene)), WorkspaceRow)
    assert (await roles(scene))["editor"] == "OWNER"


async def test_who_is_no_member_is_not_found_whether_there_is_such_a_user_or_not(scene: Scene) -> None:
    for user_id in (scene.id("stranger"), uuid7()):
        for verb in (update_role(scene, user_id, VIEWER), remove(scene, user_id)):
            refusal = await scene.ask("owner", verb)
            assert isinstance(refusal, NotFound)
            assert (refusal.message, refusal.path) == ("There is no such member.", ("userId",))


async def test_a_workspace_that_is_not_visible_reads_like_one_that_is_absent(scene: Scene) -> None:
    owner, absent = scene.id("owner"), uuid7()
    for here, nowhere in (
        (update_role(scene, owner, VIEWER), update_role(scene, owner, VIEWER, absent)),
        (remove(scene, owner), remove(scene, owner, absent)),
        (leave(scene), leave(scene, absent)),
    ):
        refusals = [await scene.ask("stranger", verb) for verb in (here, nowhere)]
        assert [type(refusal) for refusal in refusals] == [NotFound, NotFound]
        assert len({str(refusal) for refusal in refusals}) == 1


async def test_a_personal_workspace_has_exactly_its_person(scene: Scene) -> None:
    person = scene.people["owner"]
    for verb in (
        update_role(scene, person.id, VIEWER, person.workspace_id),
        remove(scene, person.id, person.workspace_id),
        leave(scene, person.workspace_id),
    ):
        assert isinstance(await scene.ask("owner", verb), PersonalWorkspace)


async def test_members_and_administrators_see_who_is_a_member(scene: Scene) -> None:
    async def seen(viewer: Viewer) -> tuple[int, int]:
        async with scene.db.reading() as rows:
            pages = await members.pages(rows, viewer, [scene.workspace_id], Window(100))
            counts = await members.counts(rows, viewer, [scene.workspace_id], None)
        return sum(len(page.items) for page in pages.values()), counts.get(scene.workspace_id, 0)

    for name in ("viewer", "editor", "owner", "administrator"):
        assert await seen(scene.viewer(name)) == (4, 4)
    assert await seen(scene.viewer("stranger")) == (0, 0)
    with pytest.raises(NotSignedIn):
        await seen(NOBODY)


@pytest.mark.parametrize("how", ["demote", "remove", "leave"])
async def test_an_owner_remains_after_fifty_owners_try_to_go_at_once(scene: Scene, how: str) -> None:
    owners = [scene.id("owner")]
    for number in range(9):
        person = await add_person(scene.db, f"owner{number}")
        await add_member(scene.db, scene.workspace_id, person.id, OWNER)
        owners.append(person.id)
    verbs: dict[str, Callable[[UUID], Verb]] = {
        "demote": lambda user_id: update_role(scene, user_id, EDITOR),
        "remove": lambda user_id: remove(scene, user_id),
        "leave": lambda _: leave(scene),
    }

    async def go(asker: UUID, target: UUID) -> object:
        try:
            async with scene.db.transaction() as tx:
                return await verbs[how](target)(tx, Viewer(asker))
        except Refusal as refusal:
            return type(refusal).__name__

    # Each of them wants to go, or wants another one gone, five times.
    pairs = [(owner, owners[(place + turn) % 10]) for turn in range(5) for place, owner in enumerate(owners)]
    outcomes = await asyncio.gather(*(go(*pair) for pair in pairs))
    refused = {outcome for outcome in outcomes if isinstance(outcome, str)}
    assert refused <= {"LastOwner", "Forbidden", "NotFound"}
    left = [role for name, role in (await roles(scene)).items() if name != "disabled" and role == "OWNER"]
    assert len(left) == 1


async def test_a_right_that_is_lost_while_a_verb_waits_is_lost(scene: Scene) -> None:
    """Looked at again behind the lock: what was read before it may be over."""
    is_held = asyncio.Event()

    async def demote() -> None:
        async with scene.db.transaction() as tx:
            await workspaces.lock(tx, [scene.workspace_id])
            is_held.set()
            await asyncio.sleep(0.2)
            await tx.execute(update(Member).where(col(Member.user_id) == scene.id("owner")).values(role=EDITOR))

    async def ask() -> object:
        await is_held.wait()
        return await scene.ask("owner", update_role(scene, scene.id("viewer"), EDITOR))

    _, outcome = await asyncio.gather(demote(), ask())
    assert isinstance(outcome, Forbidden)
