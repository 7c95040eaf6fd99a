"""Answers as event streams: who gets them, how they look, and when they end."""

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient

from api import event_streams, guards
from api.settings import Settings
from tests.asking import Account, ask, create_key, post, sign_up, uploaded
from tests.machine import comes_true
from tests.scraping import Scraped
from tests.streaming import STREAM, EventStream, bus_of, streaming

CHANGES = "subscription { fileChanged { kind } }"
REVOKE = "mutation ($id: ID!) { revokeApiKey(input: {id: $id}) { problems { code } } }"
TICKET = "mutation { createStreamTicket { ticket problems { code } } }"


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, since no select of its own is here."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"maximum_streams": 2})


def codes(answer: Any) -> list[str]:
    return [error["extensions"]["code"] for error in answer["errors"]]


async def by_url(client: AsyncClient, query: str, headers: dict[str, str] | None = None, **more: str) -> EventStream:
    """A stream asked for by GET, as EventSource does."""
    request = client.build_request(
        "GET", "/graphql", params={"query": query, **more}, headers={**STREAM, **(headers or {})}
    )
    stream = EventStream(client._transport.app, request)  # type: ignore[attr-defined]
    await stream.begin()
    return stream


async def ticket_for(client: AsyncClient, asker: Account) -> str:
    ticket: str = (await ask(client, TICKET, asker))["createStreamTicket"]["ticket"]
    return ticket


async def is_listening(client: AsyncClient, count: int = 1) -> bool:
    return await comes_true(
        lambda: (
            sum(len(each) for topic, each in bus_of(client)._listeners.items() if topic.startswith("files:")) == count
        )
    )


async def test_a_query_may_be_answered_by_a_stream_of_one(client: AsyncClient) -> None:
    ada = await sign_up(client)
    async with streaming(client, "{ viewer { username } }", ada.headers) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert stream.headers["x-accel-buffering"] == "no"
        assert await stream.next() == {"data": {"viewer": {"username": "ada"}}}
        assert await stream.next() is None
        assert stream.is_complete
        assert stream.comments == 1


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/*", "text/event-stream;q=0, application/json"])
async def test_a_subscription_needs_a_reader_of_streams(client: AsyncClient, accept: str) -> None:
    ada = await sign_up(client)
    answer = await client.post("/graphql", json={"query": CHANGES}, headers={**ada.headers, "accept": accept})
    assert answer.status_code == 406
    assert codes(answer.json()) == ["NOT_ACCEPTABLE"]


async def test_clients_that_name_everything_get_one_answer_or_a_stream_by_what_they_ask(client: AsyncClient) -> None:
    ada = await sign_up(client)
    urql = "application/graphql-response+json, application/json, text/event-stream, multipart/mixed"
    answer = await client.post(
        "/graphql", json={"query": "{ viewer { username } }"}, headers={**ada.headers, "accept": urql}
    )
    assert answer.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    async with streaming(client, CHANGES, {**ada.headers, "accept": urql}) as stream:
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("subscription { nonsense }", 400, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", 400, "GRAPHQL_PARSE_FAILED"),
        ("subscription { fileChanged { kind } uploadProgress(id: 1) { id } }", 400, "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_what_cannot_be_executed_is_no_stream(client: AsyncClient, query: str, status: int, code: str) -> None:
    ada = await sign_up(client)
    async with streaming(client, query, ada.headers) as stream:
        assert (stream.status, stream.headers["content-type"]) == (status, "application/json; charset=utf-8")
        assert codes(await stream.next()) == [code]


async def test_a_refusal_of_the_subscription_is_its_last_answer(client: AsyncClient) -> None:
    async with streaming(client, CHANGES) as stream:
        answer = await stream.next()
        assert codes(answer) == ["UNAUTHENTICATED"]
        assert "data" not in answer
        assert await stream.next() is None
        assert stream.is_complete


async def test_a_ticket_opens_one_stream(client: AsyncClient) -> None:
    ada = await sign_up(client)
    ticket = await ticket_for(client, ada)
    stream = await by_url(client, CHANGES, ticket=ticket)
    assert stream.status == 200
    assert await is_listening(client)
    await uploaded(client, ada)
    assert (await stream.next())["data"] == {"fileChanged": {"kind": "FILE_UPLOADED"}}
    again = await by_url(client, CHANGES, ticket=ticket)
    assert (again.status, codes(await again.next())) == (401, ["UNAUTHENTICATED"])
    await stream.leave()
    await again.leave()


async def test_a_ticket_is_for_streams_alone_and_stands_alone(client: AsyncClient) -> None:
    ada = await sign_up(client)
    ticket = await ticket_for(client, ada)
    answer = await client.get("/graphql", params={"query": "{ viewer { id } }", "ticket": ticket})
    assert (answer.status_code, codes(answer.json())) == (401, ["UNAUTHENTICATED"])
    either = {"accept": "text/event-stream, application/json"}
    answer = await client.get("/graphql", params={"query": "{ viewer { id } }", "ticket": ticket}, headers=either)
    assert (answer.status_code, codes(answer.json())) == (401, ["UNAUTHENTICATED"])
    both = await by_url(client, CHANGES, ada.headers, ticket=ticket)
    assert (both.status, codes(await both.next())) == (401, ["UNAUTHENTICATED"])
    many = await by_url(client, CHANGES, {}, ticket=ticket, **dict.fromkeys("abcdefghijklmnopqrst", ""))
    assert (many.status, codes(await many.next())) == (400, ["BAD_REQUEST"])
    stream = await by_url(client, CHANGES, ticket=ticket)  # none of these has used it up
    assert stream.status == 200
    for each in (both, many, stream):
        await each.leave()


async def test_no_ticket_is_made_for_keys_and_for_nobody(client: AsyncClient) -> None:
    ada = await sign_up(client)
    key = await create_key(client, ada, "files:read")
    assert codes((await post(client, TICKET, key)).json()) == ["FORBIDDEN"]
    assert codes((await post(client, TICKET)).json()) == ["UNAUTHENTICATED"]


async def test_a_mutation_by_get_is_refused_to_readers_of_streams_too(client: AsyncClient) -> None:
    ada = await sign_up(client)
    stream = await by_url(client, TICKET, ada.headers)
    assert (stream.status, codes(await stream.next())) == (405, ["METHOD_NOT_ALLOWED"])
    await stream.leave()


async def test_one_may_have_so_many_streams_and_another_one_once_one_has_ended(client: AsyncClient) -> None:
    ada, bob = await sign_up(client), await sign_up(client, "bob")
    async with streaming(client, CHANGES, ada.headers):
        async with streaming(client, CHANGES, ada.headers), streaming(client, CHANGES, ada.headers) as third:
            assert (third.status, codes(await third.next())) == (429, ["TOO_MANY_STREAMS"])
            async with streaming(client, CHANGES, bob.headers) as other:
                assert other.status == 200
        async with streaming(client, CHANGES, ada.headers) as again:
            assert again.status == 200


async def test_a_reader_that_leaves_is_forgotten(client: AsyncClient) -> None:
    ada = await sign_up(client)
    async with streaming(client, CHANGES, ada.headers):
        assert await is_listening(client)
    assert await is_listening(client, 0)


async def test_a_key_that_is_revoked_ends_its_streams(client: AsyncClient) -> None:
    ada = await sign_up(client)
    key = await create_key(client, ada, "files:read")
    async with streaming(client, CHANGES, key.headers) as stream:
        assert await is_listening(client)
        await ask(
            client, "mutation ($id: ID!) { revokeApiKey(input: {id: $id}) { problems { code } } }", ada, id=key.id
        )
        assert codes(await stream.next()) == ["UNAUTHENTICATED"]
        assert await stream.next() is None


async def test_a_key_with_other_scopes_is_another(client: AsyncClient) -> None:
    ada = await sign_up(client)
    key = await create_key(client, ada, "files:read")
    change = "mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { problems { code } } }"
    async with streaming(client, CHANGES, key.headers) as stream:
        assert await is_listening(client)
        await ask(client, change, ada, input={"id": key.id, "scopes": ["files:read", "files:write"]})
        assert codes(await stream.next()) == ["UNAUTHENTICATED"]


async def test_a_silent_stream_is_kept_open_and_its_credential_looked_at(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "KEEP_ALIVE_SECONDS", 0.02)
    monkeypatch.setattr(guards, "CHECK_SECONDS", 0.02)
    ada = await sign_up(client)
    async with streaming(client, CHANGES, ada.headers) as stream:
        coming = asyncio.create_task(stream.next())
        assert await comes_true(lambda: stream.comments > 3)
        assert not coming.done()
        coming.cancel()


async def test_open_streams_and_subscriptions_are_counted(client: AsyncClient) -> None:
    ada = await sign_up(client)

    async def counted() -> tuple[float | None, float | None, float]:
        found = Scraped((await client.get("/metrics")).text)
        ended = found.total("cairn_graphql_operations_total", type="subscription", outcome="ok")
        return found.of("cairn_streams_open"), found.of("cairn_subscriptions_open"), ended

    async with streaming(client, CHANGES, ada.headers):
        assert await is_listening(client)
        assert await counted() == (1, 1, 0)
    assert await comes_true(lambda: not bus_of(client)._listeners)
    assert await counted() == (0, 0, 1)
