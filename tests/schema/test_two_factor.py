import time
from base64 import b32decode
from typing import Any

from httpx2 import AsyncClient

from domain.totp import code_at
from tests.asking import PASSWORD, Account, ask, post, sign_up

START = """
mutation ($password: String!) {
  startTwoFactor(input: { password: $password }) { secret otpauthUri problems { __typename code path } }
}
"""
CONFIRM = """
mutation ($code: String!) {
  confirmTwoFactor(input: { code: $code }) { recoveryCodes problems { __typename code path } }
}
"""
DISABLE = """
mutation ($password: String!, $code: String!) {
  disableTwoFactor(input: { password: $password, code: $code }) { problems { __typename code path } }
}
"""
LOGIN = """
mutation ($input: LoginInput!) {
  login(input: $input) { user { id } accessToken refreshToken tokenType expiresAt challenge problems { code } }
}
"""
COMPLETE = """
mutation ($challenge: String!, $code: String!) {
  completeLogin(input: { challenge: $challenge, code: $code }) {
    user { username account { lastLoginAt } } accessToken refreshToken tokenType expiresAt
    problems { __typename code path }
  }
}
"""


def code_of(secret: str, steps: int = 0) -> str:
    return code_at(b32decode(secret), int(time.time()) // 30 + steps)


async def log_in(client: AsyncClient) -> Any:
    return (await ask(client, LOGIN, input={"username": "ada", "password": PASSWORD}))["login"]


async def complete(client: AsyncClient, challenge: str, code: str, asker: Account | None = None) -> Any:
    return (await ask(client, COMPLETE, asker, challenge=challenge, code=code))["completeLogin"]


async def switched_on(client: AsyncClient, account: Account) -> tuple[str, list[str]]:
    secret = (await ask(client, START, account, password=PASSWORD))["startTwoFactor"]["secret"]
    payload = (await ask(client, CONFIRM, account, code=code_of(secret, -1)))["confirmTwoFactor"]
    assert payload["problems"] == []
    return secret, payload["recoveryCodes"]


async def test_a_login_with_a_second_factor_takes_two_steps(client: AsyncClient) -> None:
    account = await sign_up(client)
    secret, codes = await switched_on(client, account)
    payload = await log_in(client)

    assert payload.pop("problems") == []
    challenge = payload.pop("challenge")
    assert set(payload.values()) == {None}
    ended = Account(account.id, "ada", account.token)
    await ask(client, "mutation { logout { problems { code } } }", account)
    payload = await complete(client, challenge, code_of(secret, 1), ended)
    assert payload["problems"] == []
    assert payload["tokenType"] == "Bearer"
    assert payload["user"]["account"]["lastLoginAt"] is not None
    again = Account(account.id, "ada", payload["accessToken"])
    assert (await ask(client, "{ viewer { username } }", again))["viewer"] == {"username": "ada"}
    assert (await complete(client, (await log_in(client))["challenge"], codes[3]))["accessToken"]


async def test_a_wrong_code_and_a_wrong_challenge_are_problems(client: AsyncClient) -> None:
    account = await sign_up(client)
    secret, _ = await switched_on(client, account)
    challenge = (await log_in(client))["challenge"]

    wrong = await complete(client, challenge, "12345x")
    assert wrong["accessToken"] is None
    assert wrong["problems"] == [{"__typename": "CodeWrong", "code": "CODE_WRONG", "path": ["code"]}]
    wrong = await complete(client, "x" * 43, code_of(secret))
    assert wrong["problems"] == [{"__typename": "ChallengeInvalid", "code": "CHALLENGE_INVALID", "path": None}]


async def test_the_password_is_asked_again_to_switch_it_on_and_off(client: AsyncClient) -> None:
    account = await sign_up(client)
    payload = (await ask(client, START, account, password="another"))["startTwoFactor"]
    wrong = [{"__typename": "CredentialsWrong", "code": "CREDENTIALS_WRONG", "path": ["password"]}]
    assert payload == {"secret": None, "otpauthUri": None, "problems": wrong}
    secret, codes = await switched_on(client, account)
    again = (await ask(client, START, account, password=PASSWORD))["startTwoFactor"]
    assert again["problems"] == [{"__typename": "TwoFactorOn", "code": "TWO_FACTOR_ON", "path": None}]
    for given, problem in (
        ({"password": "another", "code": codes[0]}, "CredentialsWrong"),
        ({"password": PASSWORD, "code": "000000x"}, "CodeWrong"),
    ):
        payload = (await ask(client, DISABLE, account, **given))["disableTwoFactor"]
        assert [each["__typename"] for each in payload["problems"]] == [problem]
    assert (await log_in(client))["challenge"]
    payload = (await ask(client, DISABLE, account, password=PASSWORD, code=code_of(secret, 1)))["disableTwoFactor"]
    assert payload == {"problems": []}
    assert (await log_in(client))["accessToken"]
    payload = (await ask(client, DISABLE, account, password=PASSWORD, code=codes[1]))["disableTwoFactor"]
    assert payload["problems"] == [{"__typename": "TwoFactorOff", "code": "TWO_FACTOR_OFF", "path": None}]


async def test_a_wrong_first_code_switches_nothing_on(client: AsyncClient) -> None:
    account = await sign_up(client)
    off = (await ask(client, CONFIRM, account, code="123456"))["confirmTwoFactor"]
    assert off["problems"] == [{"__typename": "TwoFactorOff", "code": "TWO_FACTOR_OFF", "path": None}]
    await ask(client, START, account, password=PASSWORD)
    for code in ("", "12345", "\0" * 6, "9" * 10_000):
        payload = (await ask(client, CONFIRM, account, code=code))["confirmTwoFactor"]
        assert payload["recoveryCodes"] is None
        assert payload["problems"] == [{"__typename": "CodeWrong", "code": "CODE_WRONG", "path": ["code"]}]
    assert (await log_in(client))["accessToken"]


async def test_nobody_is_told_to_sign_in_first(client: AsyncClient) -> None:
    given: dict[str, Any] = {"password": PASSWORD, "code": "123456"}
    for document, names in ((START, ["password"]), (CONFIRM, ["code"]), (DISABLE, ["password", "code"])):
        answer = (await post(client, document, None, **{name: given[name] for name in names})).json()
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
