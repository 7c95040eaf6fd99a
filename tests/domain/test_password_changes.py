"""Another password, for everyone who may ask; what it ends and what it spares."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from api.ports import ThreadedHasher
from db import users
from db.engine import Transaction
from db.models import MailToken, MailTokenPurpose, Session, User
from db.rows import CredentialsRow, UserRow
from domain import mail_tokens, password_changes
from domain.errors import BadCredential, NotForKeys, NotSignedIn, PasswordTooWeak, WrongPassword
from domain.password_changes import PasswordChange, Passwords
from domain.passwords import hash_password, verify_password
from domain.ports import Ports
from domain.proofs import Proof
from domain.viewer import NOBODY, Viewer
from tests.records import a_session
from tests.scenes import FACTS, Scene, Verb

OLD, NEW = "a quiet harbour at dusk", "a loud harbour at dawn"


@pytest.fixture
def ports(scene: Scene) -> Iterator[Ports]:
    hasher = ThreadedHasher(1, 100)
    yield replace(scene.ports, hasher=hasher)
    hasher.close()


def change(scene: Scene, password_hash: str = "new", *, is_right: bool = True) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        compared = CredentialsRow(viewer.user_id, "-") if viewer.user_id else None
        wanted = PasswordChange(Proof(compared, is_right), password_hash)
        return await password_changes.change_password(tx, scene.ports, viewer, wanted, FACTS)

    return verb


async def test_who_proves_the_password_changes_it_and_is_told_by_mail(scene: Scene) -> None:
    outcomes = {name: await scene.ask(name, change(scene)) for name in scene.people}
    told = {name: type(outcome) for name, outcome in outcomes.items()}
    assert told == {**dict.fromkeys(scene.people, UserRow), "disabled": WrongPassword}
    again = await scene.ask("viewer", change(scene, "newer"))
    assert isinstance(again, WrongPassword)
    assert again.path == ("currentPassword",)
    own = scene.id("viewer")
    assert ("password.changed", own, None, own) in await scene.events()
    assert ("reauthentication.failed", own, None, own) in await scene.events()
    assert {mail["subject"] for mail in await scene.mails()} == {"Your password was changed"}
    async with scene.db.reading() as rows:
        found = await rows.all(select(col(User.username), col(User.password_hash)))
    assert {row.username: row.password_hash for row in found} == {
        **dict.fromkeys(scene.people, "new"),
        "disabled": "-",
    }


async def test_all_other_sessions_and_tokens_on_their_way_end(scene: Scene) -> None:
    own, other = scene.people["viewer"], a_session(scene.id("viewer"))
    async with scene.db.transaction() as tx:
        await tx.add(other)
        for name in ("viewer", "editor"):
            [user] = await users.by_ids(tx, [scene.id(name)])
            for purpose in MailTokenPurpose:
                await mail_tokens.issue(tx, scene.ports, user, purpose, "x@example.com")
        assert isinstance(await change(scene)(tx, Viewer(own.id, session_id=own.session_id)), UserRow)
    async with scene.db.reading() as rows:
        ended = await rows.all(select(col(Session.id)).where(col(Session.revoked_at).is_not(None)))
        sent = await rows.all(select(col(MailToken.purpose)).where(col(MailToken.user_id) == own.id))
        others = await rows.all(select(col(MailToken.purpose)).where(col(MailToken.user_id) != own.id))
    assert [row.id for row in ended] == [other.id]
    assert [row.purpose for row in sent] == ["VERIFY_EMAIL"]
    assert len(others) == 3


async def test_of_twenty_changes_at_once_one_is_made(scene: Scene) -> None:
    verbs = (change(scene, f"hash {number}") for number in range(20))
    outcomes = await asyncio.gather(*(scene.ask("viewer", verb) for verb in verbs))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["UserRow", *["WrongPassword"] * 19]
    assert len(await scene.mails()) == 1


async def test_both_passwords_are_looked_at_and_only_a_proven_one_is_hashed(scene: Scene, ports: Ports) -> None:
    async with scene.db.transaction() as tx:
        await tx.execute(update(User).values(password_hash=hash_password(OLD)))
    viewer = scene.viewer("viewer")

    prepared = await password_changes.prepare(scene.db, ports, viewer, Passwords(OLD, NEW), FACTS)
    assert prepared.proof.is_right
    assert verify_password(NEW, prepared.password_hash).is_right
    wrong = await password_changes.prepare(scene.db, ports, viewer, Passwords(NEW, NEW), FACTS)
    assert (wrong.proof.is_right, wrong.password_hash) == (False, "")


@pytest.mark.parametrize(
    "new", ["short", "x" * 1025, "viewer@example.com", "password1", "a quiet\0harbour", "\ud800" * 9]
)
async def test_a_new_password_is_judged_before_anything_is_compared(scene: Scene, new: str) -> None:
    # These ports have no hasher.
    with pytest.raises(PasswordTooWeak) as refused:
        await password_changes.prepare(scene.db, scene.ports, scene.viewer("viewer"), Passwords(OLD, new), FACTS)
    assert refused.value.path == ("newPassword",)


async def test_only_people_who_are_signed_in_change_passwords(scene: Scene, ports: Ports) -> None:
    asked = {
        NotSignedIn: NOBODY,
        BadCredential: Viewer(uuid7()),
        NotForKeys: Viewer(scene.id("viewer"), api_key_id=uuid7()),
    }
    for refusal, viewer in asked.items():
        with pytest.raises(refusal):
            await password_changes.prepare(scene.db, ports, viewer, Passwords(OLD, NEW), FACTS)
