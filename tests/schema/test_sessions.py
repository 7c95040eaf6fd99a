import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from passlib.hash import bcrypt
from sqlalchemy import select, update
from sqlmodel import col

from api.parts import parts_of
from api.settings import Settings
from db.engine import Database
from db.models import Event, User
from tests.asking import PASSWORD, Account, ask, log_in, personal_workspace, post, sign_up

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


REFRESH = """
mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) {
  user { id account { sessions { nodes { current } } } } accessToken refreshToken tokenType expiresAt
  problems { __typename code message path }
} }
"""
LOGOUT = "mutation ($input: LogoutInput) { logout(input: $input) { problems { code } } }"
REVOKE = "mutation ($id: ID!) { revokeSession(input: { id: $id }) { session { id } problems { __typename code } } }"
REVOKE_OTHERS = "mutation { revokeSessions { count problems { code } } }"
OWN_SESSIONS = "{ viewer { account { sessions { nodes { id current } } } } }"


async def refresh(client: AsyncClient, token: str, asker: Account | None = None) -> Any:
    return (await ask(client, REFRESH, asker, token=token))["refreshSession"]


async def is_let_in(client: AsyncClient, account: Account) -> bool:
    answer = await post(client, "{ viewer { id } }", account)
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def signed_in_again(client: AsyncClient) -> Account:
    payload = await log_in(client)
    return Account(payload["user"]["id"], "ada", payload["accessToken"], payload["refreshToken"])


async def test_a_session_is_refreshed_with_the_token_that_signing_in_gave(client: AsyncClient) -> None:
    account = await sign_up(client)
    payload = await refresh(client, account.refresh_token)

    assert payload["problems"] == []
    assert payload["user"] == {"id": account.id, "account": {"sessions": {"nodes": [{"current": True}]}}}
    assert payload["tokenType"] == "Bearer"
    assert await is_let_in(client, replace(account, token=payload["accessToken"]))
    assert (await refresh(client, payload["refreshToken"]))["problems"] == []


async def test_a_used_refresh_token_signs_everybody_out_of_the_session(client: AsyncClient) -> None:
    account = await sign_up(client)
    other = await signed_in_again(client)
    payload = await refresh(client, account.refresh_token)
    again = await refresh(client, account.refresh_token)

    assert again["accessToken"] is again["refreshToken"] is again["user"] is None
    assert again["problems"] == [
        {
            "__typename": "RefreshTokenInvalid",
            "code": "REFRESH_TOKEN_INVALID",
            "message": "The refresh token is not valid, or no longer valid. Sign in again.",
            "path": None,
        }
    ]
    assert not await is_let_in(client, account)
    assert not await is_let_in(client, replace(account, token=payload["accessToken"]))
    assert (await refresh(client, payload["refreshToken"]))["problems"] == again["problems"]
    assert await is_let_in(client, other)


async def test_of_fifty_refreshes_at_once_one_wins(client: AsyncClient) -> None:
    account = await sign_up(client)
    payloads = await asyncio.gather(*(refresh(client, account.refresh_token) for _ in range(50)))

    assert len([payload for payload in payloads if payload["accessToken"]]) == 1
    codes = {problem["code"] for payload in payloads for problem in payload["problems"]}
    assert codes == {"REFRESH_TOKEN_INVALID"}


async def test_a_client_whose_access_token_has_expired_refreshes_and_logs_out(
    client: AsyncClient, settings: Settings
) -> None:
    account = await sign_up(client)
    ports = parts_of(settings).ports
    now = ports.clock.now()
    token = ports.tokens.issue(ports.tokens.verify(account.token, now), now - timedelta(days=1), now).text
    expired = replace(account, token=token)
    payload = await refresh(client, account.refresh_token, expired)
    assert payload["problems"] == []
    # Without the refresh token nobody could say which session is meant: the client is told to refresh, or to send it.
    answer = (await post(client, LOGOUT, expired)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    given = {"refreshToken": payload["refreshToken"]}
    for _ in range(2):
        assert (await ask(client, LOGOUT, expired, input=given))["logout"] == {"problems": []}
    assert not await is_let_in(client, replace(account, token=payload["accessToken"]))


async def test_logging_out_ends_this_session_and_its_token_keeps_nobody_from_signing_in(client: AsyncClient) -> None:
    account = await sign_up(client)
    other = await signed_in_again(client)
    assert (await ask(client, LOGOUT, account))["logout"] == {"problems": []}

    assert not await is_let_in(client, account)
    assert await is_let_in(client, other)
    assert (await refresh(client, account.refresh_token))["problems"][0]["code"] == "REFRESH_TOKEN_INVALID"
    answer = await post(client, LOGIN, account, input={"username": "ada", "password": PASSWORD})
    assert answer.json()["data"]["login"]["accessToken"]


async def test_one_session_ends_another_and_not_a_strangers(client: AsyncClient) -> None:
    account = await sign_up(client)
    other = await signed_in_again(client)
    eve = await sign_up(client, "eve")
    [hers] = (await ask(client, OWN_SESSIONS, eve))["viewer"]["account"]["sessions"]["nodes"]
    mine = (await ask(client, OWN_SESSIONS, account))["viewer"]["account"]["sessions"]["nodes"]
    [target] = [session["id"] for session in mine if not session["current"]]

    for wrong in (hers["id"], "sess_" + "0" * 32, account.id, "", "\0", "x" * 10_000):
        payload = (await ask(client, REVOKE, account, id=wrong))["revokeSession"]
        assert payload == {"session": None, "problems": [{"__typename": "NotFound", "code": "NOT_FOUND"}]}
    payload = (await ask(client, REVOKE, account, id=target))["revokeSession"]
    assert payload == {"session": {"id": target}, "problems": []}
    assert not await is_let_in(client, other)
    assert await is_let_in(client, account)
    assert await is_let_in(client, eve)


async def test_all_other_sessions_are_ended(client: AsyncClient) -> None:
    account = await sign_up(client)
    others = [await signed_in_again(client) for _ in range(2)]

    assert (await ask(client, REVOKE_OTHERS, account))["revokeSessions"] == {"count": 2, "problems": []}
    assert [await is_let_in(client, each) for each in (account, *others)] == [True, False, False]


async def test_nobody_has_no_sessions_to_end(client: AsyncClient) -> None:
    for document in (LOGOUT, REVOKE_OTHERS, REVOKE):
        variables: dict[str, Any] = {"id": "sess_" + "0" * 32} if document == REVOKE else {}
        answer = (await post(client, document, None, **variables)).json()
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
