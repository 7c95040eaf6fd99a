"""What was counted is kept for some seconds, and never for anybody who may not know it."""

import asyncio
from datetime import datetime

import pytest
from httpx2 import ASGITransport, AsyncClient

from api.app import create_app
from api.settings import Settings
from db.models import WorkspaceRole
from tests.asking import Account, ask, personal_workspace, post, sign_up, uploaded
from tests.backstage import counted, join, promote
from tests.conftest import ORIGIN
from tests.lifespan import running
from tests.schema.test_administration import administrator
from tests.schema.test_workspace_mutations import create
from tests.servers import OwnRedis

TOLD = "{ analytics { asOf totals { files users } storage { files } topUsers(by: FILES) { user { username } files } } }"
PLACE = "query ($id: ID) { analytics(workspaceId: $id) { asOf totals { files } byMediaType { files } } }"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a cache that keeps longer than any test takes."""
    return settings.model_copy(update={"analytics_cache_seconds": 3600.0})


async def files(client: AsyncClient, asker: Account, place: str | None = None) -> int | None:
    told = (await ask(client, PLACE, asker, id=place))["analytics"]
    return told and told["totals"]["files"]  # type: ignore[no-any-return]


async def test_what_was_asked_is_told_again_with_the_moment_that_it_is_of(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await uploaded(client, ada)
    first = await ask(client, TOLD, ada)
    assert first["analytics"]["totals"] == {"files": 1, "users": 1}
    await uploaded(client, ada)
    with counted() as statements:
        assert await ask(client, TOLD, ada) == first
    assert not any("daily_" in statement for statement in statements)


async def test_what_is_asked_later_is_told_as_of_the_same_moment(client: AsyncClient) -> None:
    ada = await sign_up(client)
    begun = (await ask(client, "{ analytics { asOf } }", ada))["analytics"]["asOf"]
    await uploaded(client, ada)
    told = (await ask(client, TOLD, ada))["analytics"]
    assert told["asOf"] == begun
    assert told["totals"]["files"] == 1  # of what came later, some may be there
    other = (await ask(client, '{ analytics(since: "2026-01-01") { asOf } }', ada))["analytics"]["asOf"]
    assert datetime.fromisoformat(other) > datetime.fromisoformat(begun)


async def test_nobody_is_told_what_was_kept_for_others(client: AsyncClient, settings: Settings) -> None:
    boss, ada, ed = await administrator(client, settings), await sign_up(client), await sign_up(client, "eddy")
    crew = (await create(client, ada))["id"]
    await join(settings.database_url, ed, crew, WorkspaceRole.VIEWER)
    await uploaded(client, ada)
    await uploaded(client, ada, workspaceId=crew)
    await uploaded(client, ed)
    own = await personal_workspace(client, ada)
    assert [await files(client, each) for each in (boss, ada, ed)] == [3, 2, 2]
    assert [await files(client, each, own) for each in (boss, ada, ed)] == [1, 1, None]
    assert [await files(client, each, crew) for each in (boss, ada, ed)] == [1, 1, 1]


async def test_changed_rights_change_what_is_told_at_once(client: AsyncClient, settings: Settings) -> None:
    boss, ada, ed = await administrator(client, settings), await sign_up(client), await sign_up(client, "eddy")
    crew = (await create(client, ada))["id"]
    await join(settings.database_url, ed, crew, WorkspaceRole.VIEWER)
    await uploaded(client, ada, workspaceId=crew)
    assert [await files(client, ed, crew), await files(client, ed), await files(client, boss)] == [1, 1, 1]
    remove = (
        "mutation ($w: ID!, $u: ID!) { removeMember(input: { workspaceId: $w, userId: $u }) { problems { code } } }"
    )
    assert (await ask(client, remove, ada, w=crew, u=ed.id))["removeMember"]["problems"] == []
    assert [await files(client, ed, crew), await files(client, ed)] == [None, 0]
    await promote(settings.database_url, ed)
    assert [await files(client, ed, crew), await files(client, ed)] == [1, 1]
    disable = "mutation ($id: ID!) { setUserDisabled(input: { id: $id, disabled: true }) { problems { code } } }"
    assert (await ask(client, disable, ed, id=boss.id))["setUserDisabled"]["problems"] == []
    assert (await post(client, PLACE, boss)).status_code == 401


async def test_when_many_ask_at_once_one_computes(client: AsyncClient, settings: Settings) -> None:
    boss = await administrator(client, settings)
    await uploaded(client, boss)
    with counted() as statements:
        told = await asyncio.gather(*(ask(client, TOLD, boss) for _ in range(20)))
    assert told == [told[0]] * 20
    assert sum("FROM daily_totals" in statement and "users" in statement for statement in statements) <= 2


async def test_whose_account_is_gone_is_told_no_more_of(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    await uploaded(client, ada)
    names = '{ analytics { topUsers { user { username } } inactiveUsers(since: "2999-01-01") { nodes { username } } } }'
    told = (await ask(client, names, boss))["analytics"]
    assert told["topUsers"] == [{"user": {"username": "ada"}}]
    assert len(told["inactiveUsers"]["nodes"]) == 2
    delete = "mutation ($id: ID!) { deleteUser(input: { id: $id }) { problems { code } } }"
    assert (await ask(client, delete, boss, id=ada.id))["deleteUser"]["problems"] == []
    told = (await ask(client, names, boss))["analytics"]
    assert told["topUsers"] == []
    assert len(told["inactiveUsers"]["nodes"]) == 1


async def test_lengths_and_days_are_refused_however_often_they_are_asked(client: AsyncClient) -> None:
    ada = await sign_up(client)
    early = 'inactiveUsers(since: "1900-01-01") { totalCount }'
    for field in ("topUsers(first: 0) { files }", "byMediaType(first: 101) { files }", early):
        for _ in range(2):
            body = (await post(client, f"{{ analytics {{ {field} }} }}", ada)).json()
            assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_redis_that_dies_takes_nothing_but_time(settings: Settings, own_redis: OwnRedis) -> None:
    app = create_app(settings.model_copy(update={"redis_url": own_redis.url}), None)
    async with running(app), AsyncClient(transport=ASGITransport(app), base_url=ORIGIN) as client:
        ada = await sign_up(client)
        await uploaded(client, ada)
        first = await ask(client, TOLD, ada)
        assert await ask(client, TOLD, ada) == first
        own_redis.kill()
        told = [(await ask(client, TOLD, ada))["analytics"] for _ in range(2)]
        assert [each["totals"] for each in told] == [first["analytics"]["totals"]] * 2
        own_redis.start()
        assert (await ask(client, TOLD, ada))["analytics"]["totals"] == first["analytics"]["totals"]
