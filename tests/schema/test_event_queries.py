"""The audit log through the front door."""

from typing import Any

from httpx2 import AsyncClient

from api.settings import Settings
from tests.asking import Account, ask, log_in, post, sign_up, uploaded
from tests.backstage import counted
from tests.schema.test_administration import administrator
from tests.schema.test_workspace_mutations import create

LOG = """query ($where: EventWhere, $first: Int, $after: String, $last: Int, $before: String) {
  auditLog(where: $where, first: $first, after: $after, last: $last, before: $before) {
    totalCount edges { cursor }
    nodes { id kind createdAt targetId size address requestId data actor { username } workspace { id name } }
  }
}"""


async def log(client: AsyncClient, asker: Account, **arguments: Any) -> Any:
    return (await ask(client, LOG, asker, **arguments))["auditLog"]


async def kinds(client: AsyncClient, asker: Account, **where: Any) -> list[str]:
    return [node["kind"] for node in (await log(client, asker, where=where))["nodes"]]


async def test_the_log_tells_who_did_what_to_whom_from_where(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    place = (await create(client, ada, "Crew"))["id"]
    file = await uploaded(client, ada, workspaceId=place)
    await log_in(client, "ada", "wrong")
    failed, uploaded_event, created, *_ = (await log(client, boss))["nodes"]
    assert (failed["kind"], failed["actor"], failed["targetId"]) == ("LOGIN_FAILED", None, ada.id)
    assert uploaded_event["kind"] == "FILE_UPLOADED"
    assert (uploaded_event["targetId"], uploaded_event["size"], uploaded_event["data"]) == (file["id"], 12, None)
    assert created["kind"] == "WORKSPACE_CREATED"
    assert (created["targetId"], created["data"], created["actor"]) == (place, {"name": "Crew"}, {"username": "ada"})
    assert created["workspace"] == {"id": place, "name": "Crew"}
    assert created["id"].startswith("evt_")
    assert created["address"]
    assert created["requestId"]


async def test_an_id_of_another_kind_finds_nothing_that_was_done(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    file = await uploaded(client, ada)
    assert await kinds(client, boss, targetId=file["id"]) == ["FILE_UPLOADED"]
    digits = file["id"].removeprefix("file")
    for other in (f"user{digits}", f"wsp{digits}", f"sess{digits}", digits, "file"):
        assert await kinds(client, boss, targetId=other) == [], other
        assert await kinds(client, boss, targetId=other, kinds=["FILE_UPLOADED"]) == [], other


async def test_the_log_is_filtered_and_paged(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    place = (await create(client, ada))["id"]
    await uploaded(client, ada, workspaceId=place)
    await uploaded(client, ada)
    assert await kinds(client, boss, actorId=ada.id) == [*["FILE_UPLOADED"] * 2, "WORKSPACE_CREATED", "USER_CREATED"]
    assert await kinds(client, boss, workspaceId=place) == ["FILE_UPLOADED", "WORKSPACE_CREATED"]
    assert await kinds(client, boss, targetId=place) == ["WORKSPACE_CREATED"]
    assert await kinds(client, boss, targetId=ada.id) == ["USER_CREATED"]
    assert await kinds(client, boss, kinds=["WORKSPACE_CREATED", "USER_CREATED", "USER_CREATED"], actorId=ada.id) == [
        "WORKSPACE_CREATED",
        "USER_CREATED",
    ]
    assert await kinds(client, boss, createdTo="2020-01-01T00:00:00Z") == []
    assert len(await kinds(client, boss, createdFrom="2020-01-01T00:00:00Z")) == 5
    assert await kinds(client, boss, kinds=[]) == []
    for name, given in (("targetId", "x"), ("actorId", place), ("workspaceId", ""), ("targetId", "x" * 9999)):
        assert await kinds(client, boss, **{name: given}) == []
    first = await log(client, boss, first=2)
    assert first["totalCount"] == 5
    rest = await log(client, boss, first=100, after=first["edges"][-1]["cursor"])
    assert len(rest["nodes"]) == 3
    for arguments in ({"after": "x"}, {"first": 101}, {"where": {"kinds": ["NOTHING"]}}):
        body = (await post(client, LOG, boss, **arguments)).json()
        assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_administration_itself_is_in_the_log(client: AsyncClient, settings: Settings) -> None:
    boss, ada, ed = await administrator(client, settings), await sign_up(client), await sign_up(client, "eddy")
    place = (await create(client, ada))["id"]
    query = """mutation ($ada: ID!, $ed: ID!, $place: ID!) {
      a: setUserRole(input: { id: $ed, role: ADMIN }) { problems { code } }
      b: setUserDisabled(input: { id: $ed, disabled: true, reason: "away" }) { problems { code } }
      c: setUserDisabled(input: { id: $ed, disabled: false }) { problems { code } }
      d: setQuota(input: { workspaceId: $place, limit: 7 }) { problems { code } }
      e: deleteUser(input: { id: $ada, handOverTo: $ed }) { problems { code } }
    }"""
    done = await ask(client, query, boss, ada=ada.id, ed=ed.id, place=place)
    assert all(payload["problems"] == [] for payload in done.values())
    events = (await log(client, boss, where={"actorId": boss.id}))["nodes"]
    told = [(event["kind"], event["targetId"], event["data"]) for event in events]
    assert told == [
        ("USER_DELETED", ada.id, {"username": "ada"}),
        ("WORKSPACE_HANDED_OVER", place, {"fromUserId": ada.id, "toUserId": ed.id}),
        ("QUOTA_CHANGED", place, {"limit": 7}),
        ("USER_ENABLED", ed.id, None),
        ("USER_DISABLED", ed.id, {"reason": "away"}),
        ("USER_ROLE_CHANGED", ed.id, {"from": "USER", "to": "ADMIN"}),
        ("USER_CREATED", boss.id, None),
    ]
    # Ada's own events stay when she is gone; who did it is not told any more.
    assert (await log(client, boss, where={"actorId": ada.id}))["nodes"][-1]["actor"] is None


async def test_the_number_of_statements_does_not_grow_with_the_log(client: AsyncClient, settings: Settings) -> None:
    boss = await administrator(client, settings)
    counts: list[int] = []
    for _ in range(2):
        for number in range(3):
            await create(client, await sign_up(client, f"user{len(counts)}{number}"))
        with counted() as statements:
            await log(client, boss, first=100)
        counts.append(len(statements))
    assert counts[0] == counts[1]
