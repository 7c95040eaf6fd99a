"""Guessing passwords through the front door: attempts are counted, not requests, and strangers keep out strangers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import func, select
from sqlmodel import col
from starlette.types import ASGIApp

from api.settings import HOUR, Settings
from db.engine import Database
from db.models import Event
from db.rates import Rate
from tests.asking import PASSWORD, ask, sign_up

From = Callable[[str], AsyncClient]

LOGIN = """
mutation ($input: LoginInput!) {
  login(input: $input) {
    user { id } problems { __typename code message path ... on RateLimited { policy limit windowSeconds } }
  }
}
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    own = {"rate_limits": True, "logins_per_account": Rate(5, HOUR), "logins_per_address": Rate(20, HOUR)}
    return settings.model_copy(update=own)


@pytest.fixture
def asking_from(app: ASGIApp) -> From:
    def client(address: str) -> AsyncClient:
        return AsyncClient(transport=ASGITransport(app, client=(address, 4711)), base_url="http://cairn.test")

    return client


async def tries(client: AsyncClient, name: str, password: str = "wrong") -> Any:
    return (await ask(client, LOGIN, input={"username": name, "password": password}))["login"]


async def codes(client: AsyncClient, name: str, number: int, password: str = "wrong") -> list[str]:
    answers = [await tries(client, name, password) for _ in range(number)]
    return [problem["code"] for answer in answers for problem in answer["problems"]]


def aliased(name: str, number: int) -> str:
    login = 'login(input: {username: "' + name + '", password: "wrong"}) { problems { code } }'
    return "mutation { " + " ".join(f"a{index}: {login}" for index in range(number)) + " }"


async def test_many_logins_in_one_document_are_as_many_attempts(asking_from: From, settings: Settings) -> None:
    await sign_up(asking_from("192.0.2.1"), "grace")
    for name in ("grace", "nobody"):
        data = await ask(asking_from(f"198.51.100.{len(name)}"), aliased(name, 30))
        answers = [payload["problems"][0]["code"] for payload in data.values()]
        assert answers == ["CREDENTIALS_WRONG"] * 5 + ["RATE_LIMITED"] * 25
    database = Database(settings.database_url)
    async with database.reading() as rows:
        failed = select(func.count()).select_from(Event).where(col(Event.kind) == "login.failed")
        assert await rows.scalar(failed) == 10
    await database.close()


async def test_fifty_requests_at_once_are_counted_one_by_one(asking_from: From) -> None:
    await sign_up(asking_from("192.0.2.1"), "grace")
    client = asking_from("198.51.100.1")
    answers = await asyncio.gather(*(tries(client, "grace") for _ in range(50)))
    found = sorted(problem["code"] for answer in answers for problem in answer["problems"])
    assert found == ["CREDENTIALS_WRONG"] * 5 + ["RATE_LIMITED"] * 45


async def test_an_account_that_does_not_exist_is_answered_alike(asking_from: From) -> None:
    await sign_up(asking_from("192.0.2.1"), "grace")
    real = [await tries(asking_from("198.51.100.1"), "grace") for _ in range(7)]
    absent = [await tries(asking_from("198.51.100.2"), "absent") for _ in range(7)]
    assert real == absent
    assert real[-1]["problems"][0]["__typename"] == "RateLimited"


async def test_the_owner_gets_in_from_where_they_signed_up_while_strangers_guess(asking_from: From) -> None:
    home = asking_from("192.0.2.1")
    await sign_up(home, "grace")
    for number in range(10):
        await codes(asking_from(f"198.51.100.{number}"), "grace", 1)
    assert await codes(asking_from("198.51.100.99"), "grace", 1, PASSWORD) == ["RATE_LIMITED"]
    assert await codes(home, "grace", 1, PASSWORD) == []
    assert await codes(home, "grace", 7) == ["CREDENTIALS_WRONG"] * 5 + ["RATE_LIMITED"] * 2


async def test_an_address_that_tries_many_names_is_refused(asking_from: From) -> None:
    client = asking_from("198.51.100.1")
    found = [code for number in range(25) for code in await codes(client, f"user{number}", 1)]
    assert found == ["CREDENTIALS_WRONG"] * 20 + ["RATE_LIMITED"] * 5


async def test_people_behind_one_address_who_know_their_passwords_are_not_refused(asking_from: From) -> None:
    await sign_up(asking_from("192.0.2.1"), "grace")
    office = asking_from("198.51.100.1")
    assert await codes(office, "grace", 30, PASSWORD) == []
