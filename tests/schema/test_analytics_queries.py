"""Analytics through the front door."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from api.settings import Settings
from tests.asking import Account, ask, create_key, personal_workspace, post, sign_up, uploaded
from tests.backstage import counted
from tests.schema.test_administration import administrator
from tests.schema.test_workspace_mutations import create

EVERYTHING = """
  asOf totals { users files bytes uploads downloads }
  uploads { start files bytes } weeks: uploads(interval: WEEK) { start files }
  downloads(interval: MONTH) { start downloads bytes } storage { start files bytes }
  byMediaType { mediaType files bytes }
  topUsers { user { username } files bytes downloads }
  inactiveUsers(since: "2999-01-01", first: 2) { totalCount nodes { username account { usage { used files } } } }
"""
ANALYTICS = f"""query ($since: Date, $until: Date, $workspaceId: ID) {{
  analytics(since: $since, until: $until, workspaceId: $workspaceId) {{ {EVERYTHING} }}
}}"""
DASHBOARD = f"""{{
  analytics {{ {EVERYTHING} }}
  auditLog(first: 20) {{ nodes {{ kind actor {{ username }} }} }}
}}"""


async def analytics(client: AsyncClient, asker: Account, **arguments: Any) -> Any:
    return (await ask(client, ANALYTICS, asker, **arguments))["analytics"]


def today() -> str:
    return datetime.now(UTC).date().isoformat()


async def test_an_administrator_sees_what_everybody_does(client: AsyncClient, settings: Settings) -> None:
    boss, ada, ed = await administrator(client, settings), await sign_up(client), await sign_up(client, "eddy")
    since = datetime.now(UTC).date() - timedelta(days=40)
    await uploaded(client, ada)
    await uploaded(client, ed, "a.json", b"{}")
    file = await uploaded(client, ed, "b.json", b"[]")
    await uploaded(client, ed, content=b"[0]", replaces=file["id"])
    told = await analytics(client, boss, since=since.isoformat())
    assert told["asOf"].startswith(today())
    assert told["totals"] == {"users": 3, "files": 3, "bytes": 19, "uploads": 4, "downloads": 0}
    assert [point["files"] for point in told["uploads"]] == [0] * 40 + [4]
    assert told["uploads"][-1] == {"start": today(), "files": 4, "bytes": 19}
    assert told["storage"][-1] == {"start": today(), "files": 3, "bytes": 19}
    assert told["storage"][0] == {"start": since.isoformat(), "files": 0, "bytes": 0}
    monday = since - timedelta(days=since.weekday())
    assert told["weeks"][0] == {"start": monday.isoformat(), "files": 0}
    assert told["downloads"][0] == {"start": since.replace(day=1).isoformat(), "downloads": 0, "bytes": 0}
    assert told["byMediaType"] == [
        {"mediaType": "text/plain", "files": 1, "bytes": 12},
        {"mediaType": "application/json", "files": 2, "bytes": 7},
    ]
    assert told["topUsers"] == [
        {"user": {"username": "ada"}, "files": 1, "bytes": 12, "downloads": 0},
        {"user": {"username": "eddy"}, "files": 2, "bytes": 7, "downloads": 0},
    ]
    assert told["inactiveUsers"]["totalCount"] == 3
    usage = {"used": 12, "files": 1}
    assert told["inactiveUsers"]["nodes"][1] == {"username": "ada", "account": {"usage": usage}}


async def test_members_see_their_workspaces_and_nobody_sees_others(client: AsyncClient, settings: Settings) -> None:
    boss, ada, ed = await administrator(client, settings), await sign_up(client), await sign_up(client, "eddy")
    crew = (await create(client, ada))["id"]
    await uploaded(client, ada)
    await uploaded(client, ada, workspaceId=crew)
    await uploaded(client, ed)
    own = await personal_workspace(client, ada)
    assert (await analytics(client, ada))["totals"]["files"] == 2
    assert (await analytics(client, ada))["totals"]["users"] == 1
    for asker in (ada, boss):
        assert [(await analytics(client, asker, workspaceId=each))["totals"]["files"] for each in (crew, own)] == [1, 1]
    assert await analytics(client, ed, workspaceId=own) is None
    assert await analytics(client, ed, workspaceId=f"wsp_{'0' * 32}") is None
    assert await analytics(client, boss, workspaceId=f"wsp_{'0' * 32}") is None
    assert (await analytics(client, ed))["topUsers"][0]["user"] == {"username": "eddy"}
    key = await create_key(client, ada, "files:write")
    for stranger, code in ((None, "UNAUTHENTICATED"), (key, "FORBIDDEN")):
        body = (await post(client, ANALYTICS, stranger)).json()
        assert body["errors"][0]["extensions"]["code"] == code
        assert body["data"] == {"analytics": None}


async def test_what_somebody_downloads_and_who_does_nothing_is_told_of_members(client: AsyncClient) -> None:
    ada, ed = await sign_up(client), await sign_up(client, "eddy")
    file = await uploaded(client, ada)
    await client.get(f"/files/{file['id']}/download", headers=ada.headers)
    query = """{ analytics {
      topUsers(by: DOWNLOADS, first: 1) { user { username } downloads } byFiles: topUsers(by: FILES) { files }
      inactiveUsers(since: "%s") { nodes { username } pageInfo { hasNextPage } }
    } }"""
    told = await ask(client, query % today(), ed)
    assert told["analytics"] == {
        "topUsers": [],
        "byFiles": [],
        "inactiveUsers": {"nodes": [], "pageInfo": {"hasNextPage": False}},
    }
    told = await ask(client, query % "2999-12-31", ada)
    assert told["analytics"]["byFiles"] == [{"files": 1}]
    assert [node["username"] for node in told["analytics"]["inactiveUsers"]["nodes"]] == ["ada"]


@pytest.mark.parametrize(
    "arguments",
    [{"since": "2000-01-01"}, {"since": "2026-1-1"}, {"since": "2026-02-30"}, {"until": 5}, {"until": "1900-01-01"}],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_days_that_are_none_and_periods_that_are_too_long_are_refused(
    client: AsyncClient, arguments: dict[str, object]
) -> None:
    body = (await post(client, ANALYTICS, await sign_up(client), **arguments)).json()
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_day_can_be_written_in_the_document(client: AsyncClient) -> None:
    ada = await sign_up(client)
    query = '{ analytics(since: "2026-01-01", until: "2026-01-02") { uploads { start } } }'
    assert len((await ask(client, query, ada))["analytics"]["uploads"]) == 2
    body = (await post(client, query.replace('"2026-01-01"', "5"), ada)).json()
    assert body["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_page_of_a_dashboard_costs_as_many_statements_however_much_happened(
    client: AsyncClient, settings: Settings
) -> None:
    boss = await administrator(client, settings)
    counts: list[int] = []
    for _ in range(2):
        for number in range(3):
            person = await sign_up(client, f"user{len(counts)}{number}")
            await uploaded(client, person)
            await uploaded(client, person, f"{number}.json", b"{}")
        with counted() as statements:
            await ask(client, DASHBOARD, boss)
        # The users of several lists are one statement where the lists are there at the same moment.
        people = sum(statement.startswith("SELECT users.id, users.username") for statement in statements)
        assert people <= 4
        counts.append(len(statements) - people)
    assert counts[0] == counts[1] <= 10


async def test_whose_account_is_gone_is_told_no_more(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    crew = (await create(client, ada))["id"]
    await uploaded(client, ada, workspaceId=crew)
    delete = "mutation ($id: ID!, $to: ID!) { deleteUser(input: { id: $id, handOverTo: $to }) { problems { code } } }"
    await ask(client, delete, boss, id=ada.id, to=boss.id)
    told = await analytics(client, boss)
    assert told["topUsers"] == []
    assert told["totals"] == {"users": 1, "files": 1, "bytes": 12, "uploads": 1, "downloads": 0}
