"""Usernames, for everyone who may change their own."""

import asyncio

import pytest

from db.engine import Transaction
from db.rows import UserRow
from domain import profiles
from domain.errors import InvalidInput, NameTaken
from domain.viewer import Viewer
from tests.scenes import FACTS, Scene, Verb


def rename(scene: Scene, username: str) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await profiles.change_username(tx, scene.ports, viewer, username, FACTS)

    return verb


async def test_whoever_is_signed_in_takes_another_username(scene: Scene) -> None:
    outcomes = {name: await scene.ask(name, rename(scene, f"{name}.2")) for name in ("nobody", *scene.people)}
    told = {name: type(outcome).__name__ for name, outcome in outcomes.items()}
    assert told == {"nobody": "NotSignedIn", **dict.fromkeys(scene.people, "UserRow"), "disabled": "BadCredential"}
    assert await scene.events() == [
        ("user.renamed", person.id, None, person.id) for name, person in scene.people.items() if name != "disabled"
    ]


@pytest.mark.parametrize(
    "username", ["ab", "x" * 33, "x" * 100_000, "ad\0a", "\u0430da", "\ufb00oo", "a b c", "\ud800abc"]
)
async def test_a_username_has_the_form_of_signup(scene: Scene, username: str) -> None:
    refusal = await scene.ask("viewer", rename(scene, username))
    assert isinstance(refusal, InvalidInput)
    assert refusal.path == ("username",)


async def test_a_username_that_somebody_has_in_another_case_is_taken(scene: Scene) -> None:
    refusal = await scene.ask("viewer", rename(scene, "EDITOR"))
    assert isinstance(refusal, NameTaken)
    assert (refusal.path, refusal.name) == (("username",), "EDITOR")
    assert await scene.events() == []


async def test_the_own_name_may_change_its_case_and_nothing_happens_without_a_change(scene: Scene) -> None:
    for _ in range(2):
        user = await scene.ask("viewer", rename(scene, "Viewer"))
        assert isinstance(user, UserRow)
        assert user.username == "Viewer"
    assert len(await scene.events()) == 1


async def test_of_fifty_who_want_one_name_at_once_one_gets_it(scene: Scene) -> None:
    names = ["stranger", "administrator", "viewer", "editor", "owner"] * 10
    outcomes = await asyncio.gather(*(scene.ask(name, rename(scene, "wanted")) for name in names))
    assert len({outcome.id for outcome in outcomes if isinstance(outcome, UserRow)}) == 1
    assert {type(outcome) for outcome in outcomes} == {UserRow, NameTaken}
