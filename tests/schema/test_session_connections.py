from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import event, update
from sqlalchemy.engine import Engine
from sqlmodel import col

from api.settings import Settings
from db.engine import Database
from db.models import User
from tests.asking import Account, ask, log_in, post, sign_up

SESSIONS = """
query ($first: Int, $after: String, $last: Int, $before: String) {
  viewer { account { sessions(first: $first, after: $after, last: $last, before: $before) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id createdAt lastUsedAt expiresAt address userAgent current } }
  } } }
}
"""


async def sessions(client: AsyncClient, account: Account, **page: Any) -> Any:
    return (await ask(client, SESSIONS, account, **page))["viewer"]["account"]["sessions"]


async def signed_in_again(client: AsyncClient) -> Account:
    payload = await log_in(client)
    return Account(payload["user"]["id"], "ada", payload["accessToken"], payload["refreshToken"])


async def test_a_person_sees_where_it_is_signed_in_and_which_one_is_this(client: AsyncClient) -> None:
    client.headers["user-agent"] = "a phone"
    first = await sign_up(client)
    client.headers["user-agent"] = ""
    second = await signed_in_again(client)
    found = await sessions(client, second)

    newest, oldest = [edge["node"] for edge in found["edges"]]
    assert found["totalCount"] == 2
    assert (newest["current"], oldest["current"]) == (True, False)
    assert (newest["userAgent"], oldest["userAgent"]) == (None, "a phone")
    assert newest["id"].startswith("sess_")
    assert newest["address"] == "127.0.0.1"
    assert newest["createdAt"] == newest["lastUsedAt"]
    left = datetime.fromisoformat(newest["expiresAt"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)
    of_first = await sessions(client, first)
    assert [edge["node"]["current"] for edge in of_first["edges"]] == [False, True]


async def test_sessions_come_in_pages(client: AsyncClient) -> None:
    account = await sign_up(client)
    for _ in range(3):
        await log_in(client)
    everything = await sessions(client, account)
    ids = [edge["node"]["id"] for edge in everything["edges"]]
    assert len(set(ids)) == 4

    page = await sessions(client, account, first=3)
    assert [edge["node"]["id"] for edge in page["edges"]] == ids[:3]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (4, True)
    rest = await sessions(client, account, first=3, after=page["pageInfo"]["endCursor"])
    assert [edge["node"]["id"] for edge in rest["edges"]] == ids[3:]
    assert rest["pageInfo"]["hasPreviousPage"]
    back = await sessions(client, account, last=2, before=rest["pageInfo"]["startCursor"])
    assert [edge["node"]["id"] for edge in back["edges"]] == ids[1:3]


@pytest.mark.parametrize("page", [{"first": 0}, {"first": 101}, {"first": 1, "last": 1}, {"after": "nonsense\0"}])
async def test_a_page_that_cannot_be_is_refused(client: AsyncClient, page: dict[str, Any]) -> None:
    answer = (await post(client, SESSIONS, await sign_up(client), **page)).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]


async def test_the_sessions_of_many_people_are_one_statement(client: AsyncClient, settings: Settings) -> None:
    people = [await sign_up(client, f"user-{number}") for number in range(5)]
    database = Database(settings.database_url)
    async with database.transaction() as tx:
        await tx.execute(update(User).where(col(User.username) == "user-0").values(role="ADMIN"))
    await database.close()
    query = """query ($ids: [ID!]!) {
      nodes(ids: $ids) { ... on User { account { sessions(first: 2) { totalCount nodes { id current } } } } }
    }"""
    statements: list[str] = []

    def heard(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        found = await ask(client, query, people[0], ids=[person.id for person in people])
    finally:
        event.remove(Engine, "before_cursor_execute", heard)

    assert [node["account"]["sessions"]["totalCount"] for node in found["nodes"]] == [1] * 5
    current = [[session["current"] for session in node["account"]["sessions"]["nodes"]] for node in found["nodes"]]
    assert current == [[True], *[[False]] * 4]
    asked = [statement for statement in statements if "FROM sessions" in statement and "users.role" not in statement]
    assert len(asked) == 2  # page and count; who asks is another question
