"""The list of users, for administrators."""

from typing import Any

import pytest
from httpx2 import AsyncClient

from api.settings import Settings
from tests.asking import Account, ask, post, sign_up
from tests.backstage import counted
from tests.schema.test_administration import administrator

USERS = """query ($where: UserWhere, $orderBy: UserOrder, $first: Int, $after: String, $last: Int, $before: String) {
  users(where: $where, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    totalCount nodes { username account { email role disabled } } pageInfo { hasNextPage endCursor startCursor }
  }
}"""


async def names(client: AsyncClient, asker: Account, **arguments: Any) -> list[str]:
    return [node["username"] for node in (await ask(client, USERS, asker, **arguments))["users"]["nodes"]]


async def test_users_are_found_and_their_accounts_shown(client: AsyncClient, settings: Settings) -> None:
    boss = await administrator(client, settings)
    for name in ("Grace", "ada"):
        await sign_up(client, name)
    assert await names(client, boss) == ["ada", "Grace", "boss"]
    found = (await ask(client, USERS, boss, where={"search": "GRACE@ex"}))["users"]
    assert found["totalCount"] == 1
    account = {"email": "Grace@example.org", "role": "USER", "disabled": False}
    assert found["nodes"] == [{"username": "Grace", "account": account}]
    assert await names(client, boss, where={"role": "ADMIN"}) == ["boss"]
    assert await names(client, boss, where={"disabled": True}) == []
    assert await names(client, boss, where={"inactiveSince": "2020-01-01T00:00:00Z"}) == []
    assert await names(client, boss, where={"workspaceId": "nonsense"}) == []
    assert len(await names(client, boss, where={"inactiveSince": "2120-01-01T00:00:00Z", "disabled": False})) == 3


@pytest.mark.parametrize("field", ["USERNAME", "EMAIL", "CREATED_AT", "LAST_LOGIN_AT"])
async def test_pages_of_every_order_meet_without_gap_or_overlap(
    client: AsyncClient, settings: Settings, field: str
) -> None:
    boss = await administrator(client, settings)
    for name in ("Eve", "dan", "Cleo", "bob"):
        await sign_up(client, name)
    for direction in ("ASC", "DESC"):
        order = {"field": field, "direction": direction}
        whole = await names(client, boss, orderBy=order)
        seen: list[str] = []
        after = None
        while True:
            page = (await ask(client, USERS, boss, orderBy=order, first=2, after=after))["users"]
            seen += [node["username"] for node in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert seen == whole
        back = (await ask(client, USERS, boss, orderBy=order, last=2, before=after))["users"]
        assert [node["username"] for node in back["nodes"]] == whole[-3:-1]


async def test_hostile_searches_find_nothing_or_are_refused(client: AsyncClient, settings: Settings) -> None:
    boss = await administrator(client, settings)
    for search in ("%", "_", "\\", "'", "zz\0"):
        assert await names(client, boss, where={"search": search}) == []
    body = (await post(client, USERS, boss, where={"search": "x" * 256})).json()
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    for arguments in ({"first": 0}, {"last": 101}, {"after": "x"}, {"where": {"role": "KING"}}):
        body = (await post(client, USERS, boss, **arguments)).json()
        assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_the_number_of_statements_does_not_grow_with_the_users(client: AsyncClient, settings: Settings) -> None:
    boss = await administrator(client, settings)
    query = """{ users(first: 20) { totalCount nodes { account {
      personalWorkspace { name usage { used } }
      workspaces(first: 2) { totalCount nodes { name members(first: 2) { nodes { role } } } }
      activitySummary { uploads downloadedBytes }
      activity(first: 3) { totalCount nodes { kind actor { username } workspace { name } } }
    } } } }"""
    counts: list[tuple[int, int]] = []
    for _ in range(2):
        for number in range(3):
            await sign_up(client, f"user{len(counts)}{number}")
        with counted() as statements:
            nodes = (await ask(client, query, boss))["users"]["nodes"]
        counts.append((len(nodes), len(statements)))
    assert [number for number, _ in counts] == [4, 7]
    assert counts[0][1] == counts[1][1]
