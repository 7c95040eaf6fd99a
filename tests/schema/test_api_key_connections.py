from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import event, update
from sqlalchemy.engine import Engine
from sqlmodel import col

from api.settings import Settings
from db.engine import Database
from db.models import User
from tests.asking import Account, ask, create_key, post, sign_up

KEYS = """
query ($first: Int, $after: String, $last: Int, $before: String) {
  viewer { account { apiKeys(first: $first, after: $after, last: $last, before: $before) {
    totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id name } } nodes { id }
  } } }
}
"""


async def keys(client: AsyncClient, account: Account, **page: Any) -> Any:
    return (await ask(client, KEYS, account, **page))["viewer"]["account"]["apiKeys"]


async def test_keys_come_in_pages_the_newest_first(client: AsyncClient) -> None:
    ada = await sign_up(client)
    ids = [(await create_key(client, ada, "files:read")).id for _ in range(4)][::-1]

    page = await keys(client, ada, first=3)
    assert [edge["node"]["id"] for edge in page["edges"]] == [node["id"] for node in page["nodes"]] == ids[:3]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (4, True)
    rest = await keys(client, ada, first=3, after=page["pageInfo"]["endCursor"])
    assert [edge["node"]["id"] for edge in rest["edges"]] == ids[3:]
    back = await keys(client, ada, last=2, before=rest["pageInfo"]["startCursor"])
    assert [edge["node"]["id"] for edge in back["edges"]] == ids[1:3]


@pytest.mark.parametrize("page", [{"first": 0}, {"first": 101}, {"first": 1, "last": 1}, {"after": "nonsense\0"}])
async def test_a_page_that_cannot_be_is_refused(client: AsyncClient, page: dict[str, Any]) -> None:
    answer = (await post(client, KEYS, await sign_up(client), **page)).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]


async def test_the_keys_of_many_people_are_one_statement_and_an_administrators_to_see(
    client: AsyncClient, settings: Settings
) -> None:
    people = [await sign_up(client, f"user-{number}") for number in range(4)]
    for person in people:
        await create_key(client, person, "files:read")
    database = Database(settings.database_url)
    async with database.transaction() as tx:
        await tx.execute(update(User).where(col(User.username) == "user-0").values(role="ADMIN"))
    await database.close()
    query = """query ($ids: [ID!]!) {
      nodes(ids: $ids) { ... on User { account { apiKeys(first: 2) { totalCount nodes { name } } } } }
    }"""
    statements: list[str] = []

    def heard(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        found = await ask(client, query, people[0], ids=[person.id for person in people])
    finally:
        event.remove(Engine, "before_cursor_execute", heard)

    assert [node["account"]["apiKeys"]["totalCount"] for node in found["nodes"]] == [1] * 4
    assert len([statement for statement in statements if "FROM api_keys" in statement]) == 2  # page and count
