"""Two processes of the service on one PostgreSQL: what is committed by one is told to who subscribed at the other."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.asking import Account, ask, sign_up, uploaded
from tests.live import Live, serving_together
from tests.machine import PATIENCE_SECONDS

ANNOUNCE = "mutation ($input: CreateUploadInput!) { createUpload(input: $input) { uploadSession { id } } }"
PROGRESS = "subscription ($id: ID!) { uploadProgress(id: $id) { state receivedBytes } }"
WATCH = "subscription { fileChanged { kind file { name } } }"
LOGOUT = "mutation { logout { problems { message } } }"
PATCH = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
HALF = b"half of a line and " * 10_000


@pytest.fixture(params=["without Redis", "with Redis"])
def redis(request: pytest.FixtureRequest) -> dict[str, str]:
    """What is set so that processes tell each other by PostgreSQL, or by Redis."""
    return {"REDIS_URL": request.getfixturevalue("redis_url")} if request.param == "with Redis" else {}


@pytest.fixture
def processes(postgres_url: str, redis: dict[str, str], tmp_path: Path) -> Iterator[list[Live]]:
    """Two processes that share everything but a port."""
    with serving_together(tmp_path, postgres_url, redis) as both:
        yield both


async def test_what_one_process_commits_is_told_by_the_other(processes: list[Live]) -> None:
    one, other = (AsyncClient(base_url=process.url, timeout=60) for process in processes)
    async with asyncio.timeout(PATIENCE_SECONDS), one, other:
        account = await sign_up(one)
        async with aclosing(events(other, account, WATCH)) as changes:
            knocking = asyncio.create_task(knock(one, account))
            assert (await anext(changes))["data"]["fileChanged"]["kind"] == "FILE_UPLOADED"
            knocking.cancel()
            steps = await follow(one, other, account)
            assert (steps[0], steps[-1]) == (("OPEN", 0), ("COMMITTED", 2 * len(HALF)))
            assert ("RECEIVING", len(HALF)) in steps
            # The process that streams is told, too, that the session has ended elsewhere.
            await ask(one, LOGOUT, account)
            [*_, last] = [change async for change in changes]
            assert last["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def events(client: AsyncClient, account: Account, query: str, **variables: Any) -> AsyncGenerator[Any, None]:
    """The answers of a subscription as they come."""
    headers = {**account.headers, "Accept": "text/event-stream"}
    body = {"query": query, "variables": variables}
    async with client.stream("POST", "/graphql", json=body, headers=headers) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


async def knock(client: AsyncClient, account: Account) -> None:
    """Upload again and again: nothing says when a subscription has begun."""
    while True:
        await uploaded(client, account)
        await asyncio.sleep(0.2)


async def follow(one: AsyncClient, other: AsyncClient, account: Account) -> list[tuple[str, int]]:
    """What the other tells of an upload that comes to the one in two halves, each sent once the former was told of."""
    given = {"name": "watched.txt", "size": 2 * len(HALF), "transport": "TUS"}
    upload = (await ask(one, ANNOUNCE, account, input=given))["createUpload"]["uploadSession"]
    steps: list[tuple[str, int]] = []
    due = [0, len(HALF)]
    async with aclosing(events(other, account, PROGRESS, id=upload["id"])) as told:
        async for answer in told:
            step = answer["data"]["uploadProgress"]
            steps.append((step["state"], step["receivedBytes"]))
            if due and step["receivedBytes"] == due[0]:
                headers = {**account.headers, **PATCH, "Upload-Offset": str(due.pop(0))}
                sent = await one.patch(f"/uploads/{upload['id']}", content=HALF, headers=headers)
                assert sent.status_code == 204
    return steps
