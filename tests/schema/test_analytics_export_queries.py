"""Exports through the front door: asked for, made by the job, looked at, and downloaded by a signed URL."""

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from httpx2 import AsyncClient
from uuid_utils.compat import uuid7

from api.parts import parts_of
from api.settings import Settings
from db.rows import JobRow
from domain.analytics_export_jobs import export_by_job
from tests.asking import Account, ask, create_key, personal_workspace, post, sign_up, uploaded
from tests.schema.test_administration import administrator
from tests.schema.test_workspace_mutations import create

FIELDS = """
  id state report format since until interval createdAt startedAt endedAt asOf rows workspace { id }
  file { id name size mediaType downloadUrl workspace { id } }
  problems { code message path ... on QuotaExceeded { limit used requested scope } }
"""
EXPORT = f"""mutation ($input: ExportAnalyticsInput!) {{ exportAnalytics(input: $input) {{
  export {{ {FIELDS} }} problems {{ code message path ... on TooManyExports {{ maximum }} }}
}} }}"""
EXPORTED = f"query ($id: ID!) {{ analyticsExport(id: $id) {{ {FIELDS} }} }}"
NODE = "query ($id: ID!) { node(id: $id) { id ... on AnalyticsExport { state } } }"


async def asked(client: AsyncClient, asker: Account, report: str, form: str = "CSV", **given: Any) -> Any:
    return (await ask(client, EXPORT, asker, input={"report": report, "format": form, **given}))["exportAnalytics"]


async def made(client: AsyncClient, settings: Settings, asker: Account, export_id: str) -> Any:
    """The export once its job was done, by a worker of its own."""
    parts = parts_of(settings)
    await parts.store.open()
    job = JobRow(uuid7(), "analytics.export", {"exportId": export_id[4:], "requestId": "r"}, 1, None)
    await export_by_job(parts.backends, job)
    await parts.store.close()
    await parts.db.close()
    parts.hasher.close()
    return (await ask(client, EXPORTED, asker, id=export_id))["analyticsExport"]


async def content(client: AsyncClient, export: Any) -> str:
    """What the signed URL gives, to whoever has it."""
    answer = await client.get(export["file"]["downloadUrl"])
    assert answer.status_code == 200
    return answer.text


async def test_a_report_becomes_a_file_with_a_signed_url(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    await uploaded(client, ada)
    today = datetime.now(UTC).date()
    since = (today - timedelta(days=1)).isoformat()
    payload = await asked(client, boss, "STORAGE", since=since)
    waiting = payload["export"]
    assert payload["problems"] == []
    unknown = ("startedAt", "endedAt", "asOf", "rows", "file", "workspace")
    assert (waiting["state"], [waiting[name] for name in unknown]) == ("WAITING", [None] * 6)
    assert (waiting["interval"], waiting["since"], waiting["until"]) == ("DAY", since, today.isoformat())
    done = await made(client, settings, boss, waiting["id"])
    assert (done["state"], done["rows"], done["problems"]) == ("DONE", 2, [])
    assert None not in {done["startedAt"], done["endedAt"], done["asOf"]}
    file = done["file"]
    assert file["name"] == f"analytics-storage-{since}-to-{today}.csv"
    assert (file["mediaType"], file["workspace"]["id"]) == ("text/csv", await personal_workspace(client, boss))
    assert await content(client, done) == f"start,files,bytes\r\n{since},0,0\r\n{today},1,12\r\n"
    assert (await ask(client, NODE, boss, id=done["id"]))["node"] == {"id": done["id"], "state": "DONE"}
    purge = "mutation ($ids: [ID!]!) { purgeFiles(input: { ids: $ids }) { problems { code } } }"
    await ask(client, purge, boss, ids=[file["id"]])
    assert (await ask(client, EXPORTED, boss, id=done["id"]))["analyticsExport"]["file"] is None
    log = "{ auditLog(where: { kinds: [ANALYTICS_EXPORT_REQUESTED] }) { nodes { targetId data actor { username } } } }"
    [event] = (await ask(client, log, boss))["auditLog"]["nodes"]
    assert event["targetId"] == done["id"]
    assert event["data"] == {"report": "STORAGE", "since": since, "until": today.isoformat()}


async def test_both_formats_say_what_analytics_says(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    crew = (await create(client, ada))["id"]
    await uploaded(client, ada, workspaceId=crew)
    await uploaded(client, ada, "a.json", b"{}", workspaceId=crew)
    query = """query ($id: ID!) { analytics(workspaceId: $id) {
      byMediaType { mediaType files bytes } uploads(interval: MONTH) { start files bytes }
      topUsers { user { id username } files bytes downloads }
    } }"""
    told = (await ask(client, query, ada, id=crew))["analytics"]
    [most] = told["topUsers"]
    user = most.pop("user")
    expected = {
        "MEDIA_TYPES": told["byMediaType"],
        "UPLOADS": told["uploads"],
        "USERS": [{"userId": user["id"], "username": user["username"], **most}],
    }
    for report, rows in expected.items():
        interval = {"interval": "MONTH"} if report == "UPLOADS" else {}
        for form in ("CSV", "JSON_LINES"):
            payload = await asked(client, ada, report, form, workspaceId=crew, **interval)
            done = await made(client, settings, ada, payload["export"]["id"])
            assert (done["workspace"], done["rows"]) == ({"id": crew}, len(rows))
            text = await content(client, done)
            if form == "CSV":
                read = [*csv.DictReader(StringIO(text, newline=""))]
                assert read == [{name: str(value) for name, value in row.items()} for row in rows]
            else:
                assert [json.loads(line) for line in text.splitlines()] == rows
                assert done["file"]["mediaType"] == "application/jsonl"


async def test_what_is_refused_is_told_with_its_place(client: AsyncClient) -> None:
    ada, ed = await sign_up(client), await sign_up(client, "eddy")
    for given, code, path in (
        ({"report": "USERS", "interval": "DAY"}, "BAD_USER_INPUT", ["interval"]),
        ({"report": "UPLOADS", "since": "2026-01-02", "until": "2026-01-01"}, "BAD_USER_INPUT", ["until"]),
        ({"report": "UPLOADS", "since": "0001-01-01"}, "BAD_USER_INPUT", ["since"]),
        ({"report": "UPLOADS", "until": "9999-12-31"}, "BAD_USER_INPUT", ["until"]),
        ({"report": "USERS", "workspaceId": await personal_workspace(client, ed)}, "NOT_FOUND", ["workspaceId"]),
        ({"report": "USERS", "workspaceId": ""}, "NOT_FOUND", ["workspaceId"]),
        ({"report": "USERS", "workspaceId": f"wsp_{'0' * 32}"}, "NOT_FOUND", ["workspaceId"]),
        ({"report": "USERS", "idempotencyKey": "a b"}, "BAD_USER_INPUT", ["idempotencyKey"]),
    ):
        payload = await asked(client, ada, **given)
        [problem] = payload["problems"]
        assert (payload["export"], problem["code"], problem["path"]) == (None, code, path)
    for _ in range(5):
        await asked(client, ada, "USERS")
    [problem] = (await asked(client, ada, "USERS"))["problems"]
    assert (problem["code"], problem["maximum"]) == ("TOO_MANY_EXPORTS", 5)


@pytest.mark.parametrize(
    "given", [{}, {"report": "X"}, {"format": "XML"}, {"since": 5}, {"interval": "YEAR"}, {"x": 1}]
)
async def test_what_is_no_input_is_refused(client: AsyncClient, given: dict[str, object]) -> None:
    whole = {"report": "USERS", "format": "CSV", **given} if given else {}
    answer = await post(client, EXPORT, await sign_up(client), input=whole)
    assert answer.status_code < 500
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_export_is_its_users_alone(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    own = (await asked(client, ada, "USERS"))["export"]["id"]
    for asker in (boss, None):
        assert (await ask(client, EXPORTED, asker, id=own))["analyticsExport"] is None
        assert (await ask(client, NODE, asker, id=own))["node"] is None
    for absent in ("exp_" + "0" * 32, f"exp_{uuid7().hex}", ada.id, "exp_", "", "x" * 1000):
        assert (await ask(client, EXPORTED, ada, id=absent))["analyticsExport"] is None
    key = await create_key(client, ada, "files:read", "files:write")
    for query, given in ((EXPORTED, {"id": own}), (EXPORT, {"input": {"report": "USERS", "format": "CSV"}})):
        body = (await post(client, query, key, **given)).json()
        assert body["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    reader = await create_key(client, ada, "analytics:read")
    body = (await post(client, EXPORT, reader, input={"report": "USERS", "format": "CSV"})).json()
    assert body["errors"][0]["extensions"] == {"code": "FORBIDDEN", "scope": "files:write"}


async def test_a_request_that_is_sent_again_makes_nothing_more(client: AsyncClient) -> None:
    ada = await sign_up(client)
    answers = [await asked(client, ada, "USERS", idempotencyKey="once") for _ in range(2)]
    assert answers[0] == answers[1]
    [problem] = (await asked(client, ada, "UPLOADS", idempotencyKey="once"))["problems"]
    assert problem["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_a_full_quota_is_told(client: AsyncClient, settings: Settings) -> None:
    boss = await administrator(client, settings)
    place = await personal_workspace(client, boss)
    limit = "mutation ($id: ID!) { setQuota(input: { workspaceId: $id, limit: 30 }) { problems { code } } }"
    await ask(client, limit, boss, id=place)
    failed = await made(client, settings, boss, (await asked(client, boss, "USERS"))["export"]["id"])
    assert (failed["state"], failed["file"]) == ("FAILED", None)
    [problem] = failed["problems"]
    told = {name: problem[name] for name in ("code", "path", "limit", "used", "scope")}
    assert told == {"code": "QUOTA_EXCEEDED", "path": None, "limit": 30, "used": 0, "scope": "WORKSPACE"}
    assert problem["requested"] > 30
