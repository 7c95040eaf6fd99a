"""Administrators and people: roles, who is kept out, lists, and the administrator that always remains."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db import users
from db.engine import Transaction
from db.models import Event, User, UserRole
from db.questions import Page, UserFilter, UserOrderField, Window
from db.rows import UserRow
from domain import administration
from domain.administration import Disabling, UserRoleChange
from domain.errors import AdministratorsOnly, InvalidInput, LastAdministrator, NotFound, NotSignedIn, Refusal
from domain.viewer import NOBODY, Viewer
from tests.records import NOW, add_person
from tests.scenes import FACTS, Scene, Verb

ADMIN, USER = UserRole.ADMIN, UserRole.USER
ONLY_ADMINISTRATORS = {
    "nobody": "NotSignedIn",
    "disabled": "AdministratorsOnly",
    "stranger": "AdministratorsOnly",
    "administrator": "ok",
    "viewer": "AdministratorsOnly",
    "editor": "AdministratorsOnly",
    "owner": "AdministratorsOnly",
}


def give(scene: Scene, user_id: UUID, role: UserRole) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await administration.set_user_role(tx, scene.ports, viewer, UserRoleChange(user_id, role), FACTS)

    return verb


def disable(scene: Scene, user_id: UUID, reason: str | None = None, *, is_disabled: bool = True) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        disabling = Disabling(user_id, is_disabled, reason)
        return await administration.set_user_disabled(tx, scene.ports, viewer, disabling, FACTS)

    return verb


async def row_of(scene: Scene, user_id: UUID) -> UserRow:
    async with scene.db.reading() as rows:
        [found] = await users.by_ids(rows, [user_id])
    return found


async def last_data(scene: Scene) -> object:
    async with scene.db.reading() as rows:
        return await rows.scalar(select(col(Event.data)).order_by(col(Event.id).desc()))


async def test_only_an_administrator_gives_roles(scene: Scene) -> None:
    assert await scene.outcomes(give(scene, scene.id("editor"), ADMIN)) == ONLY_ADMINISTRATORS
    assert (await row_of(scene, scene.id("editor"))).role == "ADMIN"
    assert await scene.events() == [("user.role_changed", scene.id("administrator"), None, scene.id("editor"))]
    assert await last_data(scene) == {"from": "USER", "to": "ADMIN"}


async def test_the_role_that_a_user_has_is_given_again_without_a_word(scene: Scene) -> None:
    assert isinstance(await scene.ask("administrator", give(scene, scene.id("administrator"), ADMIN)), UserRow)
    assert await scene.events() == []


async def test_only_an_administrator_disables_and_enables(scene: Scene) -> None:
    editor = scene.id("editor")
    assert await scene.outcomes(disable(scene, editor, " left the  company\n")) == ONLY_ADMINISTRATORS
    assert (await row_of(scene, editor)).disabled_at == NOW
    assert await last_data(scene) == {"reason": "left the  company"}
    assert await scene.outcomes(disable(scene, editor, is_disabled=False)) == ONLY_ADMINISTRATORS
    assert (await row_of(scene, editor)).disabled_at is None
    assert await last_data(scene) is None
    kinds = [kind for kind, *_ in await scene.events()]
    assert kinds == ["user.disabled", "user.enabled"]


async def test_who_is_disabled_already_stays_so_since_when_it_was(scene: Scene) -> None:
    scene.clock.forward(days=1)
    assert isinstance(await scene.ask("administrator", disable(scene, scene.id("disabled"))), UserRow)
    assert (await row_of(scene, scene.id("disabled"))).disabled_at == NOW
    assert await scene.events() == []


@pytest.mark.parametrize("reason", ["", "\u200b", "x" * 501, "\ud800"])
async def test_a_reason_is_a_line_of_text(scene: Scene, reason: str) -> None:
    assert isinstance(await scene.ask("administrator", disable(scene, scene.id("editor"), reason)), InvalidInput)


async def test_a_user_who_is_not_there_is_not_found(scene: Scene) -> None:
    for verb in (give(scene, uuid7(), ADMIN), disable(scene, uuid7())):
        refusal = await scene.ask("administrator", verb)
        assert isinstance(refusal, NotFound)
        assert refusal.path == ("id",)


async def test_the_last_administrator_stays_one(scene: Scene) -> None:
    own = scene.id("administrator")
    other = await add_person(scene.db, "idle", is_disabled=True, role=ADMIN)
    for verb in (give(scene, own, USER), disable(scene, own)):
        assert isinstance(await scene.ask("administrator", verb), LastAdministrator)
    # One who cannot sign in does not count, and is no loss.
    assert isinstance(await scene.ask("administrator", give(scene, other.id, USER)), UserRow)
    await scene.ask("administrator", give(scene, scene.id("editor"), ADMIN))
    assert isinstance(await scene.ask("administrator", give(scene, own, USER)), UserRow)
    # What the request began with is over: the verb looks again.
    assert isinstance(await scene.ask("administrator", give(scene, own, ADMIN)), AdministratorsOnly)


@pytest.mark.parametrize("how", ["demote", "disable"])
async def test_an_administrator_remains_after_fifty_try_to_get_rid_of_each_other(scene: Scene, how: str) -> None:
    administrators = [scene.id("administrator")]
    administrators += [(await add_person(scene.db, f"admin{number}", role=ADMIN)).id for number in range(9)]
    make = {"demote": lambda user_id: give(scene, user_id, USER), "disable": lambda user_id: disable(scene, user_id)}

    async def go(asker: UUID, target: UUID) -> str:
        try:
            async with scene.db.transaction() as tx:
                await make[how](target)(tx, Viewer(asker, ADMIN))
        except Refusal as refusal:
            return type(refusal).__name__
        return "ok"

    pairs = [
        (one, administrators[(place + turn) % 10]) for turn in range(5) for place, one in enumerate(administrators)
    ]
    outcomes = await asyncio.gather(*(go(*pair) for pair in pairs))
    assert set(outcomes) <= {"ok", "LastAdministrator", "AdministratorsOnly"}
    async with scene.db.reading() as rows:
        left = await rows.all(select(col(User.id)).where(col(User.role) == "ADMIN", col(User.disabled_at).is_(None)))
    assert len(left) == 1


async def test_an_operator_promotes_whoever_there_is(scene: Scene) -> None:
    async with scene.db.transaction() as tx:
        promoted = await administration.promote(tx, scene.ports, "EDITOR", FACTS)
    assert (promoted.username, promoted.role) == ("editor", "ADMIN")
    assert await scene.events() == [("user.role_changed", None, None, scene.id("editor"))]
    with pytest.raises(NotFound):
        async with scene.db.transaction() as tx:
            await administration.promote(tx, scene.ports, "editor@example.com", FACTS)


async def listed(scene: Scene, where: UserFilter) -> set[str]:
    """The usernames of those found, counted too."""
    administrator = scene.viewer("administrator")
    async with scene.db.reading() as rows:
        page = await administration.page(rows, administrator, where, (UserOrderField.USERNAME, False), Window(100))
        assert await administration.count(rows, administrator, where) == len(page.items)
    assert [row.username for row in page.items] == sorted(row.username for row in page.items)
    return {row.username for row in page.items}


async def test_users_are_found_by_what_they_are(scene: Scene) -> None:
    everyone = set(scene.people)
    assert await listed(scene, UserFilter()) == everyone
    assert await listed(scene, UserFilter(search_folded="ed")) == {"editor", "disabled"}
    assert await listed(scene, UserFilter(search_folded="r@example")) == {
        "editor",
        "owner",
        "viewer",
        "administrator",
        "stranger",
    }
    assert await listed(scene, UserFilter(search_folded="%")) == set()
    assert await listed(scene, UserFilter(role="ADMIN")) == {"administrator"}
    assert await listed(scene, UserFilter(is_disabled=True)) == {"disabled"}
    assert await listed(scene, UserFilter(is_disabled=False)) == everyone - {"disabled"}
    assert await listed(scene, UserFilter(workspace_id=scene.workspace_id)) == everyone - {"stranger", "administrator"}
    assert await listed(scene, UserFilter(workspace_id=scene.workspace_id, is_disabled=True)) == {"disabled"}
    async with scene.db.transaction() as tx:
        late = NOW + timedelta(days=3)
        await tx.execute(update(User).where(col(User.id) == scene.id("editor")).values(last_login_at=late))
    assert await listed(scene, UserFilter(inactive_since=NOW)) == set()
    assert await listed(scene, UserFilter(inactive_since=NOW + timedelta(days=1))) == everyone - {"editor"}


@pytest.mark.parametrize("field", list(UserOrderField))
async def test_users_are_sorted_and_paged_in_every_order(scene: Scene, field: UserOrderField) -> None:
    administrator = scene.viewer("administrator")
    async with scene.db.reading() as rows:
        up = await administration.page(rows, administrator, UserFilter(), (field, False), Window(100))
        down = await administration.page(rows, administrator, UserFilter(), (field, True), Window(100))
    assert len(up.items) == 6
    assert list(down.items) == list(up.items)[::-1]


async def test_only_administrators_list_users(scene: Scene) -> None:
    async def ask(viewer: Viewer) -> Page[UserRow]:
        async with scene.db.reading() as rows:
            return await administration.page(rows, viewer, UserFilter(), (UserOrderField.USERNAME, False), Window(10))

    with pytest.raises(NotSignedIn):
        await ask(NOBODY)
    for name in ("stranger", "owner"):
        with pytest.raises(AdministratorsOnly):
            await ask(scene.viewer(name))
        async with scene.db.reading() as rows:
            with pytest.raises(AdministratorsOnly):
                await administration.count(rows, scene.viewer(name), UserFilter())
