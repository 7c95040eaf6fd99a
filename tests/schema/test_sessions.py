import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import AsyncClient
from passlib.hash import bcrypt
from sqlalchemy import select, update
from sqlmodel import col

from api.settings import Settings
from db.engine import Database
from db.models import Event, User
from tests.asking import PASSWORD, ask, log_in, personal_workspace, post, sign_up

SIGNUP = """
mutation ($input: SignupInput!) {
  signup(input: $input) {
    user { username account { email role disabled lastLoginAt personalWorkspace { name personal viewerRole } } }
    accessToken tokenType expiresAt
    problems { __typename code message path ... on PasswordTooWeak { reasons } ... on NameTaken { name } }
  }
}
"""
LOGIN = """
mutation ($input: LoginInput!) {
  login(input: $input) { user { id account { lastLoginAt } } accessToken problems { code } }
}
"""


async def refused(client: AsyncClient, **given: str) -> dict[str, list[str]]:
    """The problems of a signup, codes by path."""
    account = {"username": "grace", "email": "grace@example.org", "password": PASSWORD} | given
    payload = (await ask(client, SIGNUP, input=account))["signup"]
    assert payload["user"] is None
    assert payload["accessToken"] is None
    return {problem["path"][0]: [problem["code"], problem["message"]] for problem in payload["problems"]}


async def test_signup_gives_an_account_with_a_personal_workspace_and_a_token(client: AsyncClient) -> None:
    given = {"username": "Ada.L-1_", "email": "Ada@Example.org", "password": PASSWORD}
    payload = (await ask(client, SIGNUP, input=given))["signup"]
    assert payload["problems"] == []
    assert payload["user"] == {
        "username": "Ada.L-1_",
        "account": {
            "email": "Ada@Example.org",
            "role": "USER",
            "disabled": False,
            "lastLoginAt": None,
            "personalWorkspace": {"name": "Personal", "personal": True, "viewerRole": "OWNER"},
        },
    }
    assert payload["tokenType"] == "Bearer"
    lifetime = datetime.fromisoformat(payload["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < lifetime <= timedelta(minutes=15)
    answer = await client.post(
        "/graphql",
        json={"query": "{ viewer { username } }"},
        headers={"Authorization": f"Bearer {payload['accessToken']}"},
    )
    assert answer.json() == {"data": {"viewer": {"username": "Ada.L-1_"}}}


async def test_signup_tells_everything_that_is_wrong_at_once(client: AsyncClient) -> None:
    problems = await refused(client, username="é", email="nobody", password="short")
    assert set(problems) == {"username", "email", "password"}
    assert problems["username"][0] == problems["email"][0] == "BAD_USER_INPUT"
    assert problems["password"][0] == "PASSWORD_TOO_WEAK"


@pytest.mark.parametrize("username", ["ab", "a" * 33, "a b c", "ada\n", "ada\0", "", "ad\u0430", "ada@home"])
async def test_a_username_is_refused_unless_it_has_the_form(client: AsyncClient, username: str) -> None:
    assert set(await refused(client, username=username)) == {"username"}


@pytest.mark.parametrize("email", ["", "a", "@b.org", "a@", "a b@c.org", "a@b..org", "x" * 300 + "@b.org", "a\0@b.org"])
async def test_an_email_is_refused_unless_it_is_one(client: AsyncClient, email: str) -> None:
    assert set(await refused(client, email=email)) == {"email"}


@pytest.mark.parametrize(
    "password",
    ["seven77", "p" * 1025, "password", "PassWord1", "grace@example.org", "GRACE@example.org", "nul\0inside"],
)
async def test_a_weak_password_is_refused_with_reasons(client: AsyncClient, password: str) -> None:
    problems = await refused(client, password=password)
    assert set(problems) == {"password"}
    assert problems["password"][0] == "PASSWORD_TOO_WEAK"


async def test_a_password_may_not_be_the_username(client: AsyncClient) -> None:
    assert set(await refused(client, username="graceful-hopper", password="GRACEFUL-hopper")) == {"password"}


async def test_names_are_unique_without_regard_to_case(client: AsyncClient) -> None:
    await sign_up(client, "grace")
    problems = await refused(client, username="GRACE", email="Grace@EXAMPLE.org")
    assert problems["username"][0] == problems["email"][0] == "NAME_TAKEN"


async def test_fifty_signups_of_one_name_give_one_account(client: AsyncClient) -> None:
    given = {"username": "grace", "email": "grace@example.org", "password": PASSWORD}
    payloads = await asyncio.gather(*(ask(client, SIGNUP, input=given) for _ in range(20)))
    won = [payload for payload in payloads if payload["signup"]["user"]]
    assert len(won) == 1
    lost = {problem["code"] for payload in payloads for problem in payload["signup"]["problems"]}
    assert lost == {"NAME_TAKEN"}


async def test_login_takes_the_email_or_the_username_in_any_case(client: AsyncClient) -> None:
    account = await sign_up(client, "grace")
    for name in ({"username": "Grace"}, {"email": "GRACE@example.org"}):
        payload = (await ask(client, LOGIN, input={"password": PASSWORD, **name}))["login"]
        assert payload["user"]["id"] == account.id
        assert payload["user"]["account"]["lastLoginAt"] is not None
        assert payload["accessToken"]


async def test_login_wants_exactly_one_name(client: AsyncClient) -> None:
    query = "mutation ($input: LoginInput!) { login(input: $input) { problems { code } } }"
    for names in ({}, {"username": "grace", "email": "grace@example.org"}):
        payload = (await ask(client, query, input={"password": PASSWORD, **names}))["login"]
        assert payload["problems"] == [{"code": "BAD_USER_INPUT"}]


async def test_whoever_fails_to_log_in_gets_one_answer(client: AsyncClient, settings: Settings) -> None:
    await sign_up(client, "grace")
    await sign_up(client, "disabled")
    database = Database(settings.database_url)
    async with database.transaction() as tx:
        await tx.execute(update(User).where(col(User.username) == "disabled").values(disabled_at=datetime.now(UTC)))
    await database.close()
    tries = [
        ("grace", "another password"),
        ("grace", PASSWORD + "\0"),
        ("grace", "x" * 100_000),
        ("nobody", PASSWORD),
        ("no\0body", PASSWORD),
        ("n" * 5000, PASSWORD),
        ("", ""),
        ("disabled", PASSWORD),
    ]
    answers = [await log_in(client, username, password) for username, password in tries]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["problems"][0]["code"] == "CREDENTIALS_WRONG"


async def test_a_failed_login_is_an_event_without_secrets(client: AsyncClient, settings: Settings) -> None:
    account = await sign_up(client, "grace")
    await log_in(client, "grace", "not the password")
    database = Database(settings.database_url)
    async with database.reading() as rows:
        events = await rows.all(select(col(Event.kind), col(Event.actor_id), col(Event.target_id), col(Event.data)))
    await database.close()
    assert [event.kind for event in events] == ["user.created", "login.failed"]
    assert events[1].actor_id is None
    assert f"user_{events[1].target_id.hex}" == account.id
    assert events[1].data is None


async def test_a_bcrypt_hash_of_an_older_service_verifies_and_is_renewed(
    client: AsyncClient, settings: Settings
) -> None:
    await sign_up(client, "grace")
    old = bcrypt.using(rounds=4).hash("an old password")
    database = Database(settings.database_url)
    async with database.transaction() as tx:
        await tx.execute(update(User).values(password_hash=old))
    assert (await log_in(client, "grace", "y" * 80))["problems"][0]["code"] == "CREDENTIALS_WRONG"
    assert (await log_in(client, "grace", "an old\0"))["problems"][0]["code"] == "CREDENTIALS_WRONG"
    assert (await log_in(client, "grace", "an old password"))["problems"] == []
    async with database.reading() as rows:
        renewed = await rows.scalar(select(col(User.password_hash)))
    await database.close()
    assert renewed.startswith("$argon2id$")
    assert (await log_in(client, "grace", "an old password"))["problems"] == []


async def test_a_disabled_users_token_stops_working_at_once(client: AsyncClient, settings: Settings) -> None:
    account = await sign_up(client, "grace")
    assert (await ask(client, "{ viewer { username } }", account))["viewer"] == {"username": "grace"}
    database = Database(settings.database_url)
    async with database.transaction() as tx:
        await tx.execute(update(User).values(disabled_at=datetime.now(UTC)))
    await database.close()
    answer = await post(client, "{ viewer { username } }", account)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_administrator_sees_the_account_of_others_but_reads_no_workspace_of_theirs(
    client: AsyncClient, settings: Settings
) -> None:
    account = await sign_up(client, "grace")
    boss = await sign_up(client, "boss")
    stranger = await sign_up(client, "stranger")
    workspace = await personal_workspace(client, account)
    database = Database(settings.database_url)
    async with database.transaction() as tx:
        await tx.execute(update(User).where(col(User.username) == "boss").values(role="ADMIN"))
    await database.close()
    query = """query ($user: ID!, $workspace: ID!) {
      node(id: $user) { ... on User { username account { email personalWorkspace { id viewerRole } } } }
      nodes(ids: [$workspace]) { id }
    }"""
    seen = await ask(client, query, boss, user=account.id, workspace=workspace)
    assert seen["node"] == {
        "username": "grace",
        "account": {"email": "grace@example.org", "personalWorkspace": {"id": workspace, "viewerRole": None}},
    }
    assert seen["nodes"] == [None]
    assert (await ask(client, query, stranger, user=account.id, workspace=workspace))["node"] is None
