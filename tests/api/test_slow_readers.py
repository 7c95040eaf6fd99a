"""Readers that stop reading while thousands of things happen, and many readers of one workspace."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from httpx2 import AsyncClient
from redis.asyncio import Redis

from api.settings import Settings
from db.bus import News
from db.models import WorkspaceRole
from db.redis_carrier import CHANNEL
from domain.events import EventKind
from domain.topics import of_files
from tests.api.frames import RawSocket, dialled, handshake, init, opened, subscribe
from tests.api.hostile_messages import WATCH_PLACE
from tests.api.inside import inside
from tests.api.test_hostile_streams import get
from tests.asking import Account, ask, personal_workspace, sign_up, uploaded
from tests.backstage import counted, join, uuid_of
from tests.live import Live, serving
from tests.machine import PATIENCE_SECONDS, comes_true

NAMES = " ".join(f"a{number}: name" for number in range(25))
LONG = f"subscription {{ fileChanged {{ kind file {{ {NAMES} }} }} }}"
CREATE = "mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) { workspace { id } } }"
STALL_SECONDS = 1
SMALL_BUFFER = 4096
AT_ONCE = 20
EVENTS = 2_000
MEMORY_BYTES = 48 << 20
READERS = 100
STATEMENTS = 24
"""For an event to a hundred readers: their sessions, and their right to the workspace, sixty-four at a time."""


def change_of(place: str, file: str) -> News:
    """What a verb tells of a file."""
    body = {"kind": EventKind.FILE_UPLOADED, "file": uuid_of(file).hex, "actor": None}
    return News(of_files(uuid_of(place)), {**body, "at": datetime.now(UTC).isoformat()})


def is_connected(live: Live, raw: RawSocket) -> bool:
    """Whether the service still has its end of a connection."""
    port = raw.writer.get_extra_info("sockname")[1]
    connections = psutil.Process(live.process.pid).net_connections("tcp")
    return any(each.raddr[1:] == (port,) and each.status == "ESTABLISHED" for each in connections)


async def by_socket(raw: RawSocket, ada: Account) -> None:
    await raw.send(handshake())
    assert await raw.status() == 101
    await raw.send(init(ada.token), subscribe("1", LONG), subscribe("2", LONG))
    assert await raw.message() == {"type": "connection_ack"}


async def by_stream(raw: RawSocket, ada: Account) -> None:
    await raw.send(get(LONG, ada.headers))
    assert await raw.status() == 200


@pytest.mark.parametrize("begin", [by_socket, pytest.param(by_stream, marks=pytest.mark.slow)])
async def test_who_stops_reading_is_dropped_while_others_are_told(
    begin: Callable[[RawSocket, Account], Awaitable[None]], sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    environment = {
        "CAIRN_DATABASE_URL": sqlite_url,
        "CAIRN_REDIS_URL": redis_url,
        "CAIRN_STALL_SECONDS": str(STALL_SECONDS),
    }
    with serving(tmp_path, environment) as live:
        async with AsyncExitStack() as kept:
            client = await kept.enter_async_context(AsyncClient(base_url=live.url, timeout=PATIENCE_SECONDS))
            ada = await sign_up(client)
            place, file = await personal_workspace(client, ada), (await uploaded(client, ada, "a" * 200 + ".txt"))["id"]
            slow = [await kept.enter_async_context(dialled(live.port, SMALL_BUFFER)) for _ in range(3)]
            for raw in slow:
                await begin(raw, ada)
            quick = await kept.enter_async_context(opened(live.port, ada.token))
            await quick.send(subscribe("1", WATCH_PLACE, id=place))
            tell = await _teller(kept, redis_url, quick, change_of(place, file))
            told = await tell()  # whatever is made when it is first asked for has been made then
            before = psutil.Process(live.process.pid).memory_info().rss
            while told < EVENTS and any(is_connected(live, raw) for raw in slow):
                told += await tell()
            assert await comes_true(lambda: not any(is_connected(live, raw) for raw in slow))
            assert psutil.Process(live.process.pid).memory_info().rss < before + MEMORY_BYTES
            assert await tell() == AT_ONCE
        lines = [json.loads(line) for line in live.log.read_text().splitlines()]
        assert [line for line in lines if line["level"] in {"error", "critical"} or "exception" in line] == []


async def _teller(kept: AsyncExitStack, redis_url: str, quick: RawSocket, news: News) -> Callable[[], Awaitable[int]]:
    """Has things happen, as another process would tell of them, and waits until a quick reader knows."""
    redis: Any = Redis.from_url(redis_url)
    kept.push_async_callback(redis.aclose)

    async def tell(count: int = AT_ONCE) -> int:
        await redis.publish(CHANNEL, json.dumps(["another process", *[news] * count]))
        for _ in range(count):
            assert (await quick.message())["payload"] == {"data": {"fileChanged": {"kind": "FILE_UPLOADED"}}}
        return count

    async def is_heard() -> bool:
        try:
            async with asyncio.timeout(1):
                await tell(1)
        except TimeoutError:
            return False
        return True

    while not await is_heard():
        pass
    return tell


@pytest.mark.parametrize(
    ("selection", "most"),
    [("kind fileId", STATEMENTS), ("kind file { name } actor { username }", STATEMENTS + 2 * READERS)],
)
async def test_an_event_for_a_hundred_readers_costs_few_statements(
    settings: Settings, database_url: str, selection: str, most: int
) -> None:
    watch = f"subscription ($id: ID!) {{ fileChanged(workspaceId: $id) {{ {selection} }} }}"
    async with inside(settings) as service, AsyncExitStack() as kept:
        ada, bob = await sign_up(service.client), await sign_up(service.client, "bob")
        made = await ask(service.client, CREATE, ada, input={"name": "Team"})
        place = made["createWorkspace"]["workspace"]["id"]
        await join(database_url, bob, place, WorkspaceRole.VIEWER)
        file = (await uploaded(service.client, ada, workspaceId=place))["id"]
        readers = []
        for number in range(4):
            raw = await kept.enter_async_context(opened(service.port, (ada, bob)[number % 2].token))
            await raw.send(*[subscribe(str(each), watch, id=place) for each in range(READERS // 4)])
            readers.append(raw)
        assert await service.watched("files:", READERS)
        with counted() as statements:
            service.parts.db.bus.tell([change_of(place, file)])
            for raw in readers:
                for _ in range(READERS // 4):
                    assert (await raw.message())["type"] == "next"
        selects = [statement for statement in statements if statement.startswith("SELECT")]
        assert len(selects) <= most
