"""What somebody did, summed up, through the front door."""

from datetime import UTC, datetime
from typing import Any

import pytest
from httpx2 import AsyncClient

from api.settings import Settings
from tests.asking import Account, ask, create_key, post, sign_up, uploaded
from tests.schema.test_administration import administrator

OWN = """query ($since: Date, $until: Date) { viewer { account { activitySummary(since: $since, until: $until) {
  asOf since until uploads uploadedBytes downloads downloadedBytes
} } } }"""


async def summary(client: AsyncClient, asker: Account, **arguments: Any) -> Any:
    return (await ask(client, OWN, asker, **arguments))["viewer"]["account"]["activitySummary"]


async def test_everybody_reads_what_they_did(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    file = await uploaded(client, ada)
    await uploaded(client, ada, content=b"more", replaces=file["id"])
    await uploaded(client, boss, content=b"of somebody else\n")
    today = datetime.now(UTC).date().isoformat()
    told = await summary(client, ada, since=today)
    assert told.pop("asOf").startswith(today)
    did = {"uploads": 2, "uploadedBytes": 16, "downloads": 0, "downloadedBytes": 0}
    assert told == {"since": today, "until": today, **did}
    assert (await summary(client, ada, until="2020-01-30"))["uploads"] == 0
    assert (await summary(client, ada, until="2020-01-30"))["since"] == "2020-01-01"
    other = "query ($id: ID!) { node(id: $id) { ... on User { account { activitySummary { uploads } } } } }"
    assert (await ask(client, other, boss, id=ada.id))["node"]["account"] == {"activitySummary": {"uploads": 2}}


async def test_periods_that_are_none_and_keys_that_may_not_are_refused(client: AsyncClient) -> None:
    ada = await sign_up(client)
    key = await create_key(client, ada, "analytics:read")
    for asker, arguments, code in (
        (ada, {"since": "2026-01-02", "until": "2026-01-01"}, "BAD_USER_INPUT"),
        (ada, {"since": "1990-01-01", "until": "2026-01-01"}, "BAD_USER_INPUT"),
        (key, {}, "FORBIDDEN"),
    ):
        body = (await post(client, OWN, asker, **arguments)).json()
        assert body["errors"][0]["extensions"]["code"] == code


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_refused_period_takes_nothing_else_along(client: AsyncClient) -> None:
    query = '{ viewer { account { email activitySummary(since: "1900-01-01") { uploads } } } }'
    body = (await post(client, query, await sign_up(client))).json()
    assert body["data"]["viewer"]["account"] == {"email": "ada@example.org", "activitySummary": None}
