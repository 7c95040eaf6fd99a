"""Python's gql by WebSocket, as its documentation shows it: subscriptions and queries in one session."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.client import AsyncClientSession
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportConnectionFailed
from gql.transport.websockets import WebsocketsTransport
from httpx2 import AsyncClient

from tests.asking import Account, ask, sign_up, uploaded
from tests.live import Live
from tests.machine import PATIENCE_SECONDS, comes_true

FILE_CHANGED = "subscription { fileChanged { kind file { name } } }"
PROGRESS = "subscription ($id: ID!) { uploadProgress(id: $id) { state receivedBytes } }"
ANNOUNCE = "mutation ($input: CreateUploadInput!) { createUpload(input: $input) { uploadSession { id url } } }"
PATCH = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
HALF = b"half of a line and " * 10_000

Transport = WebsocketsTransport | AIOHTTPWebsocketsTransport


@pytest.fixture
async def client(served: Live) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=served.url, timeout=PATIENCE_SECONDS) as client:
        yield client


def by_websockets(served: Live, token: str) -> Transport:
    return WebsocketsTransport(
        url=f"{served.url.replace('http', 'ws')}/graphql",
        init_payload={"Authorization": f"Bearer {token}"},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )


def by_websockets_as_it_comes(served: Live, token: str) -> Transport:
    """Without a word about subprotocols, gql offers the one that the service speaks and its forerunner."""
    return WebsocketsTransport(
        url=f"{served.url.replace('http', 'ws')}/graphql", init_payload={"Authorization": f"Bearer {token}"}
    )


def by_aiohttp(served: Live, token: str) -> Transport:
    return AIOHTTPWebsocketsTransport(
        url=f"{served.url.replace('http', 'ws')}/graphql", init_payload={"Authorization": f"Bearer {token}"}
    )


@pytest.mark.parametrize("transport", [by_websockets, by_websockets_as_it_comes, by_aiohttp])
async def test_gql_subscribes_and_asks_in_one_session(served: Live, client: AsyncClient, transport: Any) -> None:
    account = await sign_up(client, transport.__name__)
    opened = Client(transport=transport(served, account.token), fetch_schema_from_transport=True)
    async with asyncio.timeout(PATIENCE_SECONDS), opened as session:
        changes: list[Any] = []
        hearing = asyncio.create_task(hear(session, changes))
        while not changes:  # nothing says when a subscription has begun
            await uploaded(client, account)
            await asyncio.sleep(0.2)
        steps = [(step["state"], step["receivedBytes"]) for step in await follow(session, client, account)]
        assert (steps[0], steps[-1]) == (("OPEN", 0), ("COMMITTED", 2 * len(HALF)))
        assert ("RECEIVING", len(HALF)) in steps
        assert await comes_true(lambda: {"kind": "FILE_UPLOADED", "file": {"name": "watched.txt"}} in changes)
        answer = await session.execute(gql("{ viewer { username } }"))
        assert answer["viewer"]["username"] == transport.__name__
        hearing.cancel()


async def hear(session: AsyncClientSession, changes: list[Any]) -> None:
    async for answer in session.subscribe(gql(FILE_CHANGED)):
        changes.append(answer["fileChanged"])  # noqa: PERF401 - each is looked at as soon as it comes


async def follow(session: AsyncClientSession, client: AsyncClient, account: Account) -> list[Any]:
    """All that is told of an upload that comes in two halves, each sent once the one before has been heard of."""
    given = {"name": "watched.txt", "size": 2 * len(HALF), "transport": "TUS"}
    upload = (await ask(client, ANNOUNCE, account, input=given))["createUpload"]["uploadSession"]
    steps: list[Any] = []
    due = [0, len(HALF)]
    async for answer in session.subscribe(GraphQLRequest(PROGRESS, variable_values={"id": upload["id"]})):
        steps.append(answer["uploadProgress"])
        if due and steps[-1]["receivedBytes"] == due[0]:
            headers = {**account.headers, **PATCH, "Upload-Offset": str(due.pop(0))}
            assert (await client.patch(upload["url"], content=HALF, headers=headers)).status_code == 204
    return steps


async def test_gql_is_told_that_its_token_is_not_good(served: Live) -> None:
    with pytest.raises(TransportConnectionFailed) as caught:
        async with Client(transport=by_websockets(served, "wrong")) as session:
            await session.execute(gql("{ viewer { username } }"))
    assert "4403" in str(caught.value.__cause__)
