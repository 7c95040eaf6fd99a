"""Verified emails, for everyone who may ask."""

from dataclasses import replace

import pytest
from uuid_utils.compat import uuid7

from db.engine import Transaction
from db.rates import Rate
from db.rows import UserRow
from domain import verifications
from domain.errors import BadCredential, MailTokenInvalid, NotSignedIn, RateLimited
from domain.policy import Limit
from domain.viewer import NOBODY, Viewer
from tests.letters import token_in
from tests.records import make_ports
from tests.scenes import FACTS, Scene, Verb


def resend(scene: Scene) -> Verb:
    async def verb(tx: Transaction, viewer: Viewer) -> object:
        return await verifications.resend(tx, scene.ports, viewer)

    return verb


def verify(scene: Scene, token: str) -> Verb:
    async def verb(tx: Transaction, _viewer: Viewer) -> object:
        return await verifications.verify(tx, scene.ports, token, FACTS)

    return verb


async def test_whoever_is_signed_in_is_sent_another_mail(scene: Scene) -> None:
    signed_in = ["stranger", "administrator", "viewer", "editor", "owner"]
    told = {"nobody": "NotSignedIn", "disabled": "BadCredential", **dict.fromkeys(signed_in, "ok")}
    assert await scene.outcomes(resend(scene)) == told
    assert [mail["to"] for mail in await scene.mails()] == [f"{name}@example.com" for name in signed_in]
    assert await scene.events() == []


async def test_a_verified_email_is_asked_no_more(scene: Scene) -> None:
    await scene.ask("viewer", resend(scene))
    [mail] = await scene.mails()
    user = await scene.ask("nobody", verify(scene, token_in(mail["text"])))
    assert isinstance(user, UserRow)
    assert user.email_verified_at == scene.clock.now()
    assert await scene.events() == [("email.verified", user.id, None, scene.id("viewer"))]
    again = await scene.ask("viewer", resend(scene))
    assert again == user
    assert len(await scene.mails()) == 1
    assert isinstance(await scene.ask("viewer", verify(scene, token_in(mail["text"]))), MailTokenInvalid)


async def test_mails_are_counted_for_the_address(scene: Scene) -> None:
    ports = make_ports(scene.clock, {Limit.MAILS_PER_ACCOUNT: Rate(2, 3600)})
    counted = replace(scene.ports, limiter=ports.limiter, rates=ports.rates)
    for _ in range(2):
        await verifications.count_resending(scene.db, counted, scene.viewer("viewer"), FACTS)
    with pytest.raises(RateLimited):
        await verifications.count_resending(scene.db, counted, scene.viewer("viewer"), FACTS)
    await verifications.count_resending(scene.db, counted, scene.viewer("editor"), FACTS)
    with pytest.raises(NotSignedIn):
        await verifications.count_resending(scene.db, counted, NOBODY, FACTS)
    with pytest.raises(BadCredential):
        await verifications.count_resending(scene.db, counted, Viewer(uuid7()), FACTS)
