"""Another email, for everyone who may ask; nobody is told whether it is taken."""

import pytest
from sqlalchemy import update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db import users
from db.engine import Transaction
from db.models import User
from db.rates import Rate
from db.rows import CredentialsRow, UserRow
from domain import email_changes
from domain.email_changes import EmailChange
from domain.errors import InvalidInput, MailTokenInvalid, NotForKeys, NotSignedIn, RateLimited, WrongPassword
from domain.policy import Limit
from domain.proofs import Proof
from domain.viewer import NOBODY, Viewer
from tests.backstage import counted
from tests.letters import token_in
from tests.records import make_ports
from tests.scenes import FACTS, Scene, Verb


def proof_of(viewer: Viewer, *, is_right: bool = True) -> Proof:
    return Proof(CredentialsRow(viewer.user_id, "-") if viewer.user_id else None, is_right)


def request(scene: Scene, email: str, *, is_right: bool = True) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        change = EmailChange(proof_of(viewer, is_right=is_right), email)
        return await email_changes.request_change(tx, scene.ports, viewer, change, FACTS)

    return verb


def confirm(scene: Scene, token: str) -> Verb:
    async def verb(tx: Transaction, _viewer: Viewer) -> object:
        return await email_changes.confirm(tx, scene.ports, token, FACTS)

    return verb


async def test_who_proves_the_password_may_ask(scene: Scene) -> None:
    returned = {name: await scene.ask(name, request(scene, f"{name}@new.example")) for name in scene.people}
    assert {name for name, outcome in returned.items() if outcome is None} == set(scene.people) - {"disabled"}
    assert isinstance(returned["disabled"], WrongPassword)
    wrong = await scene.ask("viewer", request(scene, "x@new.example", is_right=False))
    assert isinstance(wrong, WrongPassword)
    assert wrong.path == ("password",)
    assert {kind for kind, *_ in await scene.events()} == {"email.change_requested", "reauthentication.failed"}


async def test_an_email_changes_once_it_is_confirmed_and_the_old_one_is_told(scene: Scene) -> None:
    assert await scene.ask("viewer", request(scene, "Vi@New.example")) is None
    new, old = await scene.mails()
    assert (new["to"], old["to"]) == ("Vi@new.example", "viewer@example.com")
    async with scene.db.reading() as rows:
        assert [user.email for user in await users.by_ids(rows, [scene.id("viewer")])] == ["viewer@example.com"]
    changed = await scene.ask("nobody", confirm(scene, token_in(new["text"])))
    assert isinstance(changed, UserRow)
    assert (changed.email, changed.email_verified_at) == ("Vi@New.example", scene.clock.now())
    async with scene.db.reading() as rows:
        assert await users.by_email(rows, "vi@new.example") == changed
        assert await users.by_email(rows, "viewer@example.com") is None
    own = scene.id("viewer")
    assert await scene.events() == [
        ("email.change_requested", own, None, own),
        ("email.changed", own, None, own),
    ]
    assert isinstance(await scene.ask("viewer", confirm(scene, token_in(new["text"]))), MailTokenInvalid)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_taken_address_costs_the_same_statements_and_only_its_owner_is_told(scene: Scene) -> None:
    with counted() as free:
        assert await scene.ask("viewer", request(scene, "nobody@new.example")) is None
    with counted() as taken:
        assert await scene.ask("viewer", request(scene, "EDITOR@example.com")) is None
    assert taken == free
    mails = await scene.mails()
    assert [mail["to"] for mail in mails] == [
        "nobody@new.example",
        "viewer@example.com",
        "editor@example.com",
        "viewer@example.com",
    ]
    assert mails[1]["text"] == mails[3]["text"]
    assert mails[2]["subject"] == "Your email is in use already"
    assert "viewer" not in mails[2]["text"]


async def test_an_address_that_was_taken_meanwhile_is_not_given(scene: Scene) -> None:
    await scene.ask("viewer", request(scene, "new@example.com"))
    token = token_in((await scene.mails())[0]["text"])
    async with scene.db.transaction() as tx:
        values = {"email": "new@example.com", "email_folded": "new@example.com"}
        await tx.execute(update(User).where(col(User.id) == scene.id("editor")).values(values))
    assert isinstance(await scene.ask("viewer", confirm(scene, token)), MailTokenInvalid)
    async with scene.db.reading() as rows:
        assert (await users.by_ids(rows, [scene.id("viewer")]))[0].email == "viewer@example.com"


async def test_the_own_address_can_be_written_in_another_way(scene: Scene) -> None:
    await scene.ask("viewer", request(scene, "Viewer@Example.com"))
    changed = await scene.ask("viewer", confirm(scene, token_in((await scene.mails())[0]["text"])))
    assert isinstance(changed, UserRow)
    assert changed.email == "Viewer@Example.com"


async def test_mails_are_counted_for_the_person_and_for_the_new_address(scene: Scene) -> None:
    ports = make_ports(scene.clock, {Limit.MAILS_PER_ACCOUNT: Rate(2, 3600)})
    viewer, other = scene.viewer("viewer"), scene.viewer("editor")
    await email_changes.count_change(ports, viewer, "a@new.example", FACTS)
    await email_changes.count_change(ports, viewer, "b@new.example", FACTS)
    with pytest.raises(RateLimited):
        await email_changes.count_change(ports, viewer, "c@new.example", FACTS)
    await email_changes.count_change(ports, other, "A@new.example", FACTS)
    with pytest.raises(RateLimited):
        await email_changes.count_change(ports, Viewer(uuid7()), "a@NEW.example", FACTS)
    with pytest.raises(InvalidInput):
        await email_changes.count_change(ports, viewer, "no address\0", FACTS)
    with pytest.raises(NotSignedIn):
        await email_changes.count_change(ports, NOBODY, "a@new.example", FACTS)
    with pytest.raises(NotForKeys):
        await email_changes.count_change(ports, Viewer(uuid7(), api_key_id=uuid7()), "a@new.example", FACTS)
