"""Emails of accounts through the front door, with the mails as a real server takes them."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import AsyncClient

from api.settings import Settings
from tests.asking import PASSWORD, Account, ask, log_in, post, sign_up
from tests.letters import token_in
from tests.mailbox import Delivery, Mailbox, receiving

ACCOUNT = "{ viewer { account { email emailVerified } } }"
VERIFY = """mutation ($token: String!) { verifyEmail(input: { token: $token }) {
  user { username account { emailVerified } } problems { __typename code path }
} }"""
CONFIRM = """mutation ($token: String!) { confirmEmail(input: { token: $token }) {
  user { username } problems { __typename code path }
} }"""
RESEND = "mutation { resendVerification { user { account { emailVerified } } problems { code } } }"
CHANGE = """mutation ($email: String!, $password: String!) {
  changeEmail(input: { email: $email, password: $password }) { problems { __typename code message path } }
}"""
INVALID = [{"__typename": "MailTokenInvalid", "code": "MAIL_TOKEN_INVALID", "path": ["token"]}]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with receiving() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, mailbox: Mailbox) -> Settings:
    given = {"smtp_url": mailbox.url, "mail_from": "Cairn <files@example.org>", "worker": True}
    return settings.model_copy(update=given)


async def arrived(mailbox: Mailbox, count: int) -> list[Delivery]:
    """The mails, once so many have come; the worker runs in this loop and must not be kept."""
    await asyncio.to_thread(mailbox.next, count)
    return mailbox.deliveries


async def account_of(client: AsyncClient, asker: Account) -> Any:
    return (await ask(client, ACCOUNT, asker))["viewer"]["account"]


async def test_who_signs_up_verifies_the_email_with_the_token_of_a_mail(client: AsyncClient, mailbox: Mailbox) -> None:
    ada = await sign_up(client)
    assert await account_of(client, ada) == {"email": "ada@example.org", "emailVerified": False}
    [mail] = await arrived(mailbox, 1)
    assert (mail.recipients, mail.mail["Subject"]) == (["ada@example.org"], "Verify your email")
    token = token_in(mail.text)
    assert "3 days" in mail.text

    assert (await ask(client, CONFIRM, token=token))["confirmEmail"] == {"user": None, "problems": INVALID}
    payload = (await ask(client, VERIFY, token=token))["verifyEmail"]
    assert payload == {"user": {"username": "ada", "account": None}, "problems": []}
    assert (await account_of(client, ada))["emailVerified"]
    for used in (token, "x" * 43, "\0", "x" * 10_000):
        assert (await ask(client, VERIFY, ada, token=used))["verifyEmail"] == {"user": None, "problems": INVALID}


async def test_another_mail_replaces_the_first_and_a_verified_email_needs_none(
    client: AsyncClient, mailbox: Mailbox
) -> None:
    ada = await sign_up(client)
    again = (await ask(client, RESEND, ada))["resendVerification"]
    assert again == {"user": {"account": {"emailVerified": False}}, "problems": []}
    first, second = sorted(await arrived(mailbox, 2), key=lambda mail: str(mail.mail["Message-ID"]))
    assert (await ask(client, VERIFY, token=token_in(first.text)))["verifyEmail"]["problems"] == INVALID
    payload = (await ask(client, VERIFY, ada, token=token_in(second.text)))["verifyEmail"]
    assert payload["user"] == {"username": "ada", "account": {"emailVerified": True}}
    assert (await ask(client, RESEND, ada))["resendVerification"]["user"] == {"account": {"emailVerified": True}}
    assert (await post(client, RESEND)).json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    await asyncio.sleep(0.3)
    assert len(mailbox.deliveries) == 2


async def test_an_email_changes_when_its_new_address_confirms_it(client: AsyncClient, mailbox: Mailbox) -> None:
    ada = await sign_up(client)
    payload = (await ask(client, CHANGE, ada, email="lovelace@example.org", password=PASSWORD))["changeEmail"]
    assert payload == {"problems": []}
    assert (await account_of(client, ada))["email"] == "ada@example.org"
    mails = {(mail.recipients[0], mail.mail["Subject"]): mail for mail in await arrived(mailbox, 3)}
    assert set(mails) == {
        ("ada@example.org", "Verify your email"),
        ("ada@example.org", "Your email is being changed"),
        ("lovelace@example.org", "Confirm your new email"),
    }
    token = token_in(mails["lovelace@example.org", "Confirm your new email"].text)
    assert (await ask(client, CONFIRM, token=token))["confirmEmail"] == {"user": {"username": "ada"}, "problems": []}
    assert await account_of(client, ada) == {"email": "lovelace@example.org", "emailVerified": True}
    old = token_in(mails["ada@example.org", "Verify your email"].text)
    assert (await ask(client, VERIFY, token=old))["verifyEmail"]["problems"] == INVALID
    assert (await log_in(client, "ada"))["accessToken"]


async def test_the_answer_does_not_tell_whether_an_address_is_taken(client: AsyncClient, mailbox: Mailbox) -> None:
    ada, _ = await sign_up(client), await sign_up(client, "eve")
    answers = [
        (await post(client, CHANGE, ada, email=email, password=PASSWORD)).json()
        for email in ("free@example.org", "EVE@example.org")
    ]
    assert answers[0] == answers[1] == {"data": {"changeEmail": {"problems": []}}}
    subjects = [(mail.recipients[0], mail.mail["Subject"]) for mail in await arrived(mailbox, 6)]
    assert ("eve@example.org", "Your email is in use already") in subjects
    assert ("eve@example.org", "Confirm your new email") not in subjects


async def test_an_email_is_changed_with_the_password_and_to_an_address(client: AsyncClient) -> None:
    ada = await sign_up(client)
    for email, password, kind, path in (
        ("x@example.org", "another", "CredentialsWrong", ["password"]),
        ("nobody", PASSWORD, "InvalidInput", ["email"]),
        ("a\r\nBcc: b@example.org", PASSWORD, "InvalidInput", ["email"]),
        ("=?utf-8?q?a?=@example.org", PASSWORD, "InvalidInput", ["email"]),
    ):
        [problem] = (await ask(client, CHANGE, ada, email=email, password=password))["changeEmail"]["problems"]
        assert (problem["__typename"], problem["path"]) == (kind, path)
    answer = (await post(client, CHANGE, email="x@example.org", password=PASSWORD)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
