"""Passwords through the front door, with the mails as a real server takes them."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select

from api.settings import Settings
from db.models import Event
from tests.asking import PASSWORD, Account, ask, log_in, post, sign_up
from tests.backstage import changing
from tests.letters import token_in
from tests.mailbox import Delivery, Mailbox, receiving

NEW = "a loud harbour at dawn"
CHANGE = """mutation ($current: String!, $new: String!) {
  changePassword(input: { currentPassword: $current, newPassword: $new }) {
    user { username } problems { __typename path ... on PasswordTooWeak { reasons } }
  }
}"""
REQUEST = """mutation ($email: String!) {
  requestPasswordReset(input: { email: $email }) { problems { __typename path } }
}"""
RESET = """mutation ($token: String!, $password: String!) {
  resetPassword(input: { token: $token, password: $password }) { user { username } problems { __typename path } }
}"""
VIEWER = "{ viewer { username } }"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, mailbox: Mailbox) -> Settings:
    given = {"smtp_url": mailbox.url, "mail_from": "Cairn <files@example.org>", "worker": True}
    return settings.model_copy(update=given)


async def arrived(mailbox: Mailbox, subject: str) -> Delivery:
    for _ in range(200):
        found = [mail for mail in mailbox.deliveries if mail.mail["Subject"] == subject]
        if found:
            return found[-1]
        await asyncio.sleep(0.1)
    raise AssertionError(subject)


async def is_signed_in(client: AsyncClient, asker: Account) -> bool:
    return (await post(client, VIEWER, asker)).status_code == 200


async def test_a_changed_password_ends_all_other_sessions(client: AsyncClient, mailbox: Mailbox) -> None:
    ada = await sign_up(client)
    other = replace(ada, token=(await log_in(client))["accessToken"])
    payload = (await ask(client, CHANGE, ada, current=PASSWORD, new=NEW))["changePassword"]
    assert payload == {"user": {"username": "ada"}, "problems": []}
    assert await is_signed_in(client, ada)
    assert not await is_signed_in(client, other)
    assert (await log_in(client))["accessToken"] is None
    assert (await log_in(client, password=NEW))["accessToken"]
    mail = await arrived(mailbox, "Your password was changed")
    assert mail.recipients == ["ada@example.org"]
    assert NEW not in mail.text + mail.html


async def test_a_password_is_changed_with_the_current_one_and_to_a_good_one(client: AsyncClient) -> None:
    ada = await sign_up(client)
    wrong = (await ask(client, CHANGE, ada, current="another", new=NEW))["changePassword"]
    assert wrong == {"user": None, "problems": [{"__typename": "CredentialsWrong", "path": ["currentPassword"]}]}
    [weak] = (await ask(client, CHANGE, ada, current=PASSWORD, new="ada@example.org"))["changePassword"]["problems"]
    reasons = ["Choose one that is not your username or email."]
    assert weak == {"__typename": "PasswordTooWeak", "path": ["newPassword"], "reasons": reasons}
    answer = (await post(client, CHANGE, current=PASSWORD, new=NEW)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert (await log_in(client))["accessToken"]


async def test_a_forgotten_password_is_replaced_by_a_mail(
    client: AsyncClient, mailbox: Mailbox, settings: Settings
) -> None:
    ada = await sign_up(client)
    assert (await ask(client, REQUEST, email="Ada@Example.org"))["requestPasswordReset"] == {"problems": []}
    mail = await arrived(mailbox, "Reset your password")
    assert mail.recipients == ["ada@example.org"]
    token = token_in(mail.text)
    # Clients keep sending an access token whose session has ended.
    await ask(client, "mutation { logout { problems { code } } }", ada)
    weak = (await ask(client, RESET, ada, token=token, password="short"))["resetPassword"]
    assert weak["problems"] == [{"__typename": "PasswordTooWeak", "path": ["password"]}]
    done = (await ask(client, RESET, ada, token=token, password=NEW))["resetPassword"]
    assert done == {"user": {"username": "ada"}, "problems": []}
    for used in (token, "x" * 43, "\0" * 43):
        again = (await ask(client, RESET, token=used, password=NEW))["resetPassword"]
        assert again["problems"] == [{"__typename": "MailTokenInvalid", "path": ["token"]}]
    assert (await log_in(client))["accessToken"] is None
    assert (await log_in(client, password=NEW))["accessToken"]
    await arrived(mailbox, "Your password was changed")
    async with changing(settings.database_url) as tx:
        recorded = str(await tx.all(select(Event)))
    assert not [secret for secret in (token, PASSWORD, NEW) if secret in recorded]


async def test_the_answer_does_not_tell_whether_there_is_an_account(client: AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    answers = [(await post(client, REQUEST, email=f"{name}@example.org")).json() for name in ("absent", "ada")]
    assert answers[0] == answers[1] == {"data": {"requestPasswordReset": {"problems": []}}}
    await arrived(mailbox, "Reset your password")
    assert {mail.recipients[0] for mail in mailbox.deliveries} == {"ada@example.org"}
    [problem] = (await ask(client, REQUEST, email="nobody\0"))["requestPasswordReset"]["problems"]
    assert problem == {"__typename": "InvalidInput", "path": ["email"]}
