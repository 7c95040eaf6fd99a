"""Tokens of mails: each for its purpose, once, and not for long."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from db import users
from db.models import MailToken, MailTokenPurpose, User
from domain import mail_tokens
from domain.errors import MailTokenInvalid
from tests.records import NOW
from tests.scenes import Scene

VERIFY, RESET, CONFIRM = MailTokenPurpose
HOSTILE = ("", "x" * 43, "x" * 100_000, "\0" * 43, "\ud800" * 43, "é" * 43, " ")


async def issued(scene: Scene, name: str = "viewer", purpose: MailTokenPurpose = VERIFY) -> str:
    async with scene.db.transaction() as tx:
        [user] = await users.by_ids(tx, [scene.id(name)])
        return (await mail_tokens.issue(tx, scene.ports, user, purpose, f"{name}@example.net")).text


async def used(scene: Scene, token: str, purpose: MailTokenPurpose = VERIFY) -> str:
    """Whose token it was, as whoever uses it is told; empty when refused."""
    try:
        async with scene.db.transaction() as tx:
            proven = await mail_tokens.use(tx, scene.ports, purpose, token)
    except MailTokenInvalid:
        return ""
    assert proven.email == f"{proven.user.username}@example.net"
    return proven.user.username


async def held(scene: Scene, token: str) -> str:
    async with scene.db.reading() as rows:
        return (await mail_tokens.holder(rows, scene.ports, VERIFY, token)).username


async def left(scene: Scene) -> int:
    async with scene.db.reading() as rows:
        return int(await rows.scalar(select(func.count()).select_from(MailToken)))


async def test_a_token_is_good_once_and_kept_as_a_hash(scene: Scene) -> None:
    token = await issued(scene)
    async with scene.db.reading() as rows:
        assert token not in str(await rows.all(select(MailToken)))
    assert await held(scene, token) == "viewer"
    assert await used(scene, token) == "viewer"
    assert await used(scene, token) == ""
    with pytest.raises(MailTokenInvalid):
        await held(scene, token)


async def test_of_fifty_who_use_one_token_at_once_one_does(scene: Scene) -> None:
    token = await issued(scene)
    outcomes = await asyncio.gather(*(used(scene, token) for _ in range(50)))
    assert sorted(outcomes)[-2:] == ["", "viewer"]


async def test_fifty_tokens_at_once_leave_one_that_is_good(scene: Scene) -> None:
    async def issue_locked() -> str:
        async with scene.db.transaction() as tx:
            assert await users.hold_enabled(tx, scene.id("viewer"))
            [user] = await users.by_ids(tx, [scene.id("viewer")])
            return (await mail_tokens.issue(tx, scene.ports, user, VERIFY, "viewer@example.net")).text

    tokens = await asyncio.gather(*(issue_locked() for _ in range(50)))
    assert await left(scene) == 1
    assert [await used(scene, token) for token in tokens].count("viewer") == 1


async def test_a_newer_token_ends_the_older_one_of_its_user_and_purpose_alone(scene: Scene) -> None:
    older, other, of_another = await issued(scene), await issued(scene, purpose=RESET), await issued(scene, "editor")
    newer = await issued(scene)
    assert await used(scene, older) == ""
    assert await used(scene, newer) == "viewer"
    assert await used(scene, other, RESET) == "viewer"
    assert await used(scene, of_another) == "editor"


async def test_a_token_is_good_for_its_purpose_alone(scene: Scene) -> None:
    for purpose in MailTokenPurpose:
        token = await issued(scene, purpose=purpose)
        for other in set(MailTokenPurpose) - {purpose}:
            assert await used(scene, token, other) == ""
        assert await used(scene, token, purpose) == "viewer"


async def test_a_token_expires_and_is_removed_a_day_later(scene: Scene) -> None:
    token = await issued(scene)
    scene.clock.forward(seconds=3599)
    assert await held(scene, token) == "viewer"
    scene.clock.forward(seconds=1)
    assert await used(scene, token) == ""
    await mail_tokens.sweep(scene.db, scene.clock.now())
    assert await left(scene) == 1
    await mail_tokens.sweep(scene.db, scene.clock.now() + timedelta(days=1, seconds=1))
    assert await left(scene) == 0


async def test_a_user_who_is_disabled_or_gone_has_no_token(scene: Scene) -> None:
    token, of_another = await issued(scene), await issued(scene, "editor")
    async with scene.db.transaction() as tx:
        await tx.execute(update(User).where(col(User.username) == "viewer").values(disabled_at=NOW))
        await users.remove(tx, scene.id("editor"))
    for each in (token, of_another):
        assert await used(scene, each) == ""
        with pytest.raises(MailTokenInvalid):
            await held(scene, each)
    assert await left(scene) == 1


@pytest.mark.parametrize("token", HOSTILE, ids=lambda token: f"{token[:4]!a}x{len(token)}")
async def test_whatever_else_is_presented_is_refused_alike(scene: Scene, token: str) -> None:
    assert await used(scene, token) == ""
    with pytest.raises(MailTokenInvalid):
        await held(scene, token)
