"""A forgotten password: a mail to whoever has the address, and nothing told to anybody else."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlmodel import col

from api.ports import ThreadedHasher
from db.engine import Transaction
from db.models import ApiKey, Event, Job, Session, TwoFactor, User
from db.rates import Rate
from db.rows import JobRow, UserRow
from domain import password_resets
from domain.errors import InvalidInput, MailTokenInvalid, PasswordTooWeak, RateLimited
from domain.password_resets import RESET_JOB, NewPassword, PasswordReset, send_reset
from domain.passwords import verify_password
from domain.policy import Limit
from domain.ports import Ports
from domain.viewer import Viewer
from tests.backstage import counted
from tests.letters import token_in
from tests.records import make_ports
from tests.scenes import FACTS, Scene, Verb

NEW = "a loud harbour at dawn"
HOSTILE = ["", "x" * 43, "x" * 100_000, "\0" * 43, "\ud800" * 43]


@pytest.fixture
def ports(scene: Scene) -> Iterator[Ports]:
    hasher = ThreadedHasher(1, 100)
    yield replace(scene.ports, hasher=hasher)
    hasher.close()


def request(scene: Scene, email: str) -> Verb:
    async def verb(tx: Transaction, _viewer: Viewer) -> object:
        await password_resets.request_reset(tx, scene.ports, email, FACTS)
        return None

    return verb


def reset(scene: Scene, token: str, password_hash: str = "new") -> Verb:
    async def verb(tx: Transaction, _viewer: Viewer) -> object:
        return await password_resets.reset_password(tx, scene.ports, PasswordReset(token, password_hash), FACTS)

    return verb


async def worked(scene: Scene) -> None:
    """Do the jobs that look accounts up."""
    async with scene.db.transaction() as tx:
        found = await tx.all(select(col(Job.id), col(Job.payload)).where(col(Job.kind) == RESET_JOB))
        await tx.execute(delete(Job).where(col(Job.kind) == RESET_JOB))
    for row in found:
        await send_reset(scene.db, scene.ports, JobRow(row.id, RESET_JOB, row.payload, 1, None))


async def sent(scene: Scene, email: str) -> list[dict[str, Any]]:
    """The mails that a request gives."""
    before = len(await scene.mails())
    assert await scene.ask("nobody", request(scene, email)) is None
    await worked(scene)
    return (await scene.mails())[before:]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_request_runs_the_same_statements_whether_or_not_there_is_an_account(scene: Scene) -> None:
    runs = []
    for email in ("viewer@example.com", "absent@example.com", "disabled@example.com"):
        with counted() as statements:
            assert await scene.ask("nobody", request(scene, email)) is None
        runs.append(statements)
    assert runs[0] == runs[1] == runs[2]
    async with scene.db.reading() as rows:
        payloads = [row.payload for row in await rows.all(select(col(Job.payload)))]
    assert [set(payload) for payload in payloads] == [{"email", "requestId", "address"}] * 3
    assert await scene.events() == []


async def test_only_who_has_the_address_is_sent_a_mail_and_every_request_is_recorded(scene: Scene) -> None:
    assert await sent(scene, "absent@example.com") == []
    assert await sent(scene, "disabled@example.com") == []
    [mail] = await sent(scene, "VIEWER@Example.com")
    assert mail["to"] == "viewer@example.com"
    kinds = [(kind, actor, target) for kind, actor, _, target in await scene.events()]
    own = scene.id("viewer")
    assert kinds == [("password.reset_requested", None, target) for target in (None, None, own)]
    async with scene.db.reading() as rows:
        facts = {(row.address, row.request_id) for row in await rows.all(select(Event))}
    assert facts == {(FACTS.address, FACTS.request_id)}


async def test_the_token_gives_another_password_and_ends_every_session(scene: Scene) -> None:
    [mail] = await sent(scene, "viewer@example.com")
    token = token_in(mail["text"])
    user = await scene.ask("nobody", reset(scene, token))
    assert isinstance(user, UserRow)
    assert user.email_verified_at == scene.clock.now()
    own = scene.id("viewer")
    assert (await scene.events())[-1] == ("password.reset", own, None, own)
    assert [each["subject"] for each in await scene.mails()][-1] == "Your password was changed"
    async with scene.db.reading() as rows:
        ended = await rows.all(select(col(Session.user_id)).where(col(Session.revoked_at).is_not(None)))
        kept = await rows.first(select(col(User.password_hash), col(User.email_verified_at)).where(col(User.id) == own))
    assert [row.user_id for row in ended] == [own]
    assert kept is not None
    assert kept.password_hash == "new"
    assert kept.email_verified_at == scene.clock.now()
    assert isinstance(await scene.ask("nobody", reset(scene, token, "newer")), MailTokenInvalid)


@pytest.mark.parametrize("was_verified", [True, False])
async def test_keys_and_the_second_factor_outlast_it_if_the_address_was_verified(
    scene: Scene, *, was_verified: bool
) -> None:
    own, now = scene.id("viewer"), scene.clock.now()
    async with scene.db.transaction() as tx:
        await tx.execute(
            update(User).where(col(User.id) == own).values(email_verified_at=now if was_verified else None)
        )
        await tx.add(
            ApiKey(user_id=own, name="n", token_prefix="p", scopes=[], addresses=[], created_at=now),
            TwoFactor(user_id=own, sealed_secret="s", created_at=now, confirmed_at=now),
        )
    [mail] = await sent(scene, "viewer@example.com")
    await scene.ask("nobody", reset(scene, token_in(mail["text"])))
    async with scene.db.reading() as rows:
        [(revoked_at,)] = await rows.all(select(col(ApiKey.revoked_at)))
        factors = await rows.all(select(col(TwoFactor.user_id)))
    assert (revoked_at is None, len(factors) == 1) == (was_verified, was_verified)


async def test_a_job_that_is_done_twice_leaves_the_newer_token(scene: Scene) -> None:
    [first] = await sent(scene, "viewer@example.com")
    [second] = await sent(scene, "viewer@example.com")
    assert isinstance(await scene.ask("nobody", reset(scene, token_in(first["text"]))), MailTokenInvalid)
    assert isinstance(await scene.ask("nobody", reset(scene, token_in(second["text"]))), UserRow)


async def test_of_fifty_resets_by_one_token_one_is_made(scene: Scene) -> None:
    [mail] = await sent(scene, "viewer@example.com")
    verbs = (reset(scene, token_in(mail["text"]), f"hash {number}") for number in range(50))
    outcomes = await asyncio.gather(*(scene.ask("nobody", verb) for verb in verbs))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == [*["MailTokenInvalid"] * 49, "UserRow"]


async def test_an_email_that_was_changed_meanwhile_is_not_sent_a_token(scene: Scene) -> None:
    assert await scene.ask("nobody", request(scene, "viewer@example.com")) is None
    async with scene.db.transaction() as tx:
        values = {"email": "new@example.com", "email_folded": "new@example.com"}
        await tx.execute(update(User).where(col(User.id) == scene.id("viewer")).values(values))
    await worked(scene)
    assert await scene.mails() == []


async def test_a_weak_password_is_refused_before_the_token_is_used(scene: Scene, ports: Ports) -> None:
    [mail] = await sent(scene, "viewer@example.com")
    token = token_in(mail["text"])
    for weak in ("short", "viewer@example.com", "x" * 100_000, "\0" * 9):
        with pytest.raises(PasswordTooWeak) as refused:
            await password_resets.prepare(scene.db, ports, NewPassword(token, weak), FACTS)
        assert refused.value.path == ("password",)
    prepared = await password_resets.prepare(scene.db, ports, NewPassword(token, NEW), FACTS)
    assert verify_password(NEW, prepared.password_hash).is_right
    assert isinstance(await scene.ask("nobody", reset(scene, token)), UserRow)


@pytest.mark.parametrize("token", HOSTILE, ids=range(len(HOSTILE)))
async def test_nothing_is_hashed_without_a_good_token(scene: Scene, token: str) -> None:
    # These ports have no hasher.
    with pytest.raises(MailTokenInvalid):
        await password_resets.prepare(scene.db, scene.ports, NewPassword(token, NEW), FACTS)


async def test_requests_are_counted_for_every_address_alike(scene: Scene) -> None:
    ports = make_ports(scene.clock, {Limit.MAILS_PER_ACCOUNT: Rate(1, 3600)})
    for email in ("viewer@example.com", "absent@example.com"):
        await password_resets.count_request(ports, email, FACTS)
        with pytest.raises(RateLimited):
            await password_resets.count_request(ports, email.upper(), FACTS)
    for hostile in ("", "x", "a@b\0.com", "x" * 100_000 + "@example.com", "\ud800@example.com"):
        with pytest.raises(InvalidInput):
            await password_resets.count_request(ports, hostile, FACTS)
