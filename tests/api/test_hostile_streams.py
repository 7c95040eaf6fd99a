"""Hostile readers of event streams against the real service: each gets a refusal, or a stream that ends with it."""

import asyncio
import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from httpx2 import AsyncClient

from tests.api.besieged import MAXIMUM_STREAMS, People, besieged, survives
from tests.api.frames import RawSocket, dialled
from tests.api.hostile_messages import SECRET, WATCH, WATCH_PLACE, WATCH_UPLOAD
from tests.asking import Account, ask, uploaded
from tests.machine import PATIENCE_SECONDS

TICKET = "mutation { createStreamTicket { ticket } }"
LOGOUT = "mutation { logout { problems { code } } }"
TWO_FIELDS = "subscription { fileChanged { kind } a: fileChanged { kind } }"
MANY_ALIASES = "{" + " ".join(f"a{number}: viewer {{ id }}" for number in range(99)) + "}"
OPENING = b":\n\n"
tickets: list[str] = []


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    with besieged(tmp_path_factory.mktemp("streams")) as found:
        yield found


def get(query: str, headers: Mapping[str, str] | None = None, **more: str) -> bytes:
    """A request by URL, as EventSource makes it."""
    given = {"Host": "cairn.test", "Accept": "text/event-stream", **(headers or {})}
    lines = [f"GET /graphql?{urlencode({'query': query, **more})} HTTP/1.1"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in given.items()), "", ""]).encode("latin-1")


def post(body: object, headers: Mapping[str, str] | None = None) -> bytes:
    """A request with a JSON body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {
        "Host": "cairn.test",
        "Accept": "text/event-stream",
        "Content-Type": "application/json",
        "Content-Length": str(len(data)),
        **(headers or {}),
    }
    lines = ["POST /graphql HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + data


async def answered(raw: RawSocket, request: bytes) -> tuple[int, Any]:
    """The status, and the code of what is refused; of a stream, the code of its first answer, None if it has data."""
    await raw.send(request)
    head = (await raw.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    status = int(head.split()[1])
    if "text/event-stream" in head:
        line = b""
        while not line.startswith(b"data: "):
            line = await raw.reader.readline()
        answer = json.loads(line.removeprefix(b"data: "))
    else:
        [length] = [line for line in head.splitlines() if line.startswith("content-length:")]
        answer = json.loads(await raw.reader.readexactly(int(length.split(":")[1])))
    return status, answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


async def ticket_for(people: People, asker: Account) -> str:
    async with AsyncClient(base_url=people.live.url, timeout=PATIENCE_SECONDS) as client:
        ticket: str = (await ask(client, TICKET, asker))["createStreamTicket"]["ticket"]
    tickets.append(ticket)
    return ticket


REFUSALS: dict[str, tuple[bytes, int, str]] = {
    "nobody": (get(WATCH), 200, "UNAUTHENTICATED"),
    "a token of nobody": (get(WATCH, {"Authorization": f"Bearer {SECRET}"}), 401, "UNAUTHENTICATED"),
    "a token of no ASCII": (get(WATCH, {"Authorization": "Bearer \xe9"}), 401, "UNAUTHENTICATED"),
    "another scheme": (get(WATCH, {"Authorization": "Basic YTpi"}), 401, "UNAUTHENTICATED"),
    "two credentials": (get(WATCH, {"Authorization": "Bearer a", "X-API-Key": "cairn_b"}), 401, "UNAUTHENTICATED"),
    "a token in the URL": (get(WATCH, access_token=SECRET), 200, "UNAUTHENTICATED"),
    "a ticket of nobody": (get(WATCH, ticket=SECRET), 401, "UNAUTHENTICATED"),
    "a ticket of 1,000 bytes": (get(WATCH, ticket="a" * 1_000), 401, "UNAUTHENTICATED"),
    "a ticket that is no text": (
        get(WATCH, ticket="\x00\udcff".encode("utf-8", "surrogatepass").hex()),
        401,
        "UNAUTHENTICATED",
    ),
    "a ticket with a credential": (get(WATCH, {"X-API-Key": "cairn_b"}, ticket=SECRET), 401, "UNAUTHENTICATED"),
    "a ticket for JSON": (get("{ __typename }", {"Accept": "application/json"}, ticket=SECRET), 401, "UNAUTHENTICATED"),
    "a ticket twice": (get(WATCH, ticket=SECRET).replace(b"?", b"?ticket=a&"), 401, "UNAUTHENTICATED"),
    "a ticket by POST": (
        post({"query": WATCH}).replace(b"/graphql", b"/graphql?ticket=" + SECRET.encode()),
        200,
        "UNAUTHENTICATED",
    ),
    "JSON": (get(WATCH, {"Accept": "application/json"}), 406, "NOT_ACCEPTABLE"),
    "anything": (get(WATCH, {"Accept": "*/*"}), 406, "NOT_ACCEPTABLE"),
    "anything but streams": (get(WATCH, {"Accept": "text/event-stream;q=0, */*"}), 406, "NOT_ACCEPTABLE"),
    "nothing at all": (get(WATCH, {"Accept": "text/event-stream;q=0"}), 406, "NOT_ACCEPTABLE"),
    "a quality that is none": (get(WATCH, {"Accept": "text/event-stream;q=2"}), 406, "NOT_ACCEPTABLE"),
    "a mutation by GET": (get(TICKET), 405, "METHOD_NOT_ALLOWED"),
    "a stream by PUT": (post({"query": WATCH}).replace(b"POST", b"PUT", 1), 405, "METHOD_NOT_ALLOWED"),
    "no document": (get("", unquery="a").replace(b"query=&un", b""), 400, "GRAPHQL_PARSE_FAILED"),
    "no syntax": (get("subscription {"), 400, "GRAPHQL_PARSE_FAILED"),
    "two root fields": (
        get("subscription { fileChanged { kind } a: fileChanged { kind } }"),
        400,
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "the schema for ever": (get("subscription { __schema { description } }"), 400, "GRAPHQL_VALIDATION_FAILED"),
    "too complex": (
        post({"query": "{" + " ".join(f"a{n}: viewer {{ id }}" for n in range(99)) + "}"}),
        400,
        "QUERY_TOO_COMPLEX",
    ),
    "a missing variable": (get(WATCH_UPLOAD), 400, "BAD_USER_INPUT"),
    "no workspace": (get(WATCH_PLACE, variables='{"id": "wsp_0"}'), 200, "UNAUTHENTICATED"),
    "variables that are a list": (get(WATCH_PLACE, variables="[]"), 400, "BAD_REQUEST"),
    "no JSON": (post(b"{"), 400, "BAD_REQUEST"),
    "a batch": (post([{"query": WATCH}]), 400, "BAD_REQUEST"),
    "no UTF-8": (post(b'{"query":"\xff"}'), 400, "BAD_REQUEST"),
    "a body that is too long": (post({"query": WATCH, "variables": {"a": "a" * 1_200_000}}), 413, "REQUEST_TOO_LARGE"),
    "a body that is said to be": (post(b"", {"Content-Length": "2000000"}), 413, "REQUEST_TOO_LARGE"),
    "a body that does not come": (post(b"", {"Content-Length": "2"}), 408, "REQUEST_TIMEOUT"),
    "text": (post({"query": WATCH}, {"Content-Type": "text/plain"}), 415, "UNSUPPORTED_MEDIA_TYPE"),
    "compressed": (post({"query": WATCH}, {"Content-Encoding": "gzip"}), 415, "UNSUPPORTED_MEDIA_TYPE"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_who_may_not_read_a_stream_is_told_so(people: People, name: str) -> None:
    request, status, code = REFUSALS[name]
    async with dialled(people.port) as raw:
        assert await answered(raw, request) == (status, code)


async def test_a_ticket_is_good_once_and_for_nothing_else(people: People) -> None:
    ticket = await ticket_for(people, people.ada)
    async with dialled(people.port) as first, dialled(people.port) as second, dialled(people.port) as third:
        query = "{ viewer { username } }"
        together = get(query, people.eve.headers, ticket=ticket)
        assert await answered(first, together) == (401, "UNAUTHENTICATED")
        assert await answered(second, get(query, ticket=ticket)) == (200, None)
        assert await answered(third, get(query, ticket=ticket)) == (401, "UNAUTHENTICATED")


async def test_of_many_who_come_with_one_ticket_one_is_let_in(people: People) -> None:
    ticket = await ticket_for(people, people.ada)

    async def come() -> int:
        async with dialled(people.port) as raw:
            return (await answered(raw, get("{ viewer { id } }", ticket=ticket)))[0]

    assert sorted(await asyncio.gather(*(come() for _ in range(20)))) == [200] + [401] * 19


async def test_a_ticket_of_a_session_that_has_ended_is_good_no_longer(people: People) -> None:
    async with AsyncClient(base_url=people.live.url, timeout=PATIENCE_SECONDS) as client:
        given = {"username": "eve", "password": "a quiet harbour at dusk"}
        login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken } }"
        token = (await ask(client, login, input=given))["login"]["accessToken"]
        eve = Account(people.eve.id, "eve", token)
        ticket = await ticket_for(people, eve)
        await ask(client, LOGOUT, eve)
    tickets.append(token)
    async with dialled(people.port) as raw:
        assert await answered(raw, get(WATCH, ticket=ticket)) == (401, "UNAUTHENTICATED")


async def test_what_is_not_theirs_looks_to_readers_like_what_is_not_there(people: People) -> None:
    for place in (people.ada_place, "wsp_" + "0" * 32):
        async with dialled(people.port) as raw:
            request = get(WATCH_PLACE, people.eve.headers, variables=json.dumps({"id": place}))
            assert await answered(raw, request) == (200, "NOT_FOUND")


async def test_streams_that_are_cut_off_are_not_counted_any_more(people: People) -> None:
    request = get(WATCH, people.ada.headers)
    for number in range(5 * MAXIMUM_STREAMS):
        with socket.create_connection(("127.0.0.1", people.port), 10) as reader:
            reader.sendall(request)
            head = reader.recv(65536)
            while b"429" not in head and OPENING not in head:
                head += reader.recv(65536)
            assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 429")), number
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", number % 2, 0))
    for _ in range(100):
        async with dialled(people.port) as raw:
            await raw.send(request)
            if await raw.status() == 200:
                return
        await asyncio.sleep(0.05)
    pytest.fail("the streams are still counted")


@pytest.mark.parametrize("more", [b"\x00" * 100_000, b"GET / HTTP/1.1\r\n" * 10_000])
async def test_what_is_no_request_after_the_request_ends_the_stream(people: People, more: bytes) -> None:
    async with dialled(people.port) as raw:
        await raw.send(get(WATCH, people.ada.headers))
        assert await raw.status() == 200
        with suppress(ConnectionError):
            await raw.send(more)
        assert await raw.is_over()


async def test_requests_behind_a_stream_wait_for_its_end(people: People) -> None:
    async with dialled(people.port) as raw, AsyncClient(base_url=people.live.url, timeout=PATIENCE_SECONDS) as client:
        await raw.send(get(WATCH, people.ada.headers) + get("{ __typename }") * 5)
        await asyncio.sleep(0.5)
        await uploaded(client, people.ada)
        said = await raw.reader.readuntil(b'"}}}\n\n')
        assert said.count(b"HTTP/1.1") == 1


async def test_a_stream_goes_on_while_its_neighbours_do_their_worst(people: People) -> None:
    async with dialled(people.port) as raw, AsyncClient(base_url=people.live.url, timeout=PATIENCE_SECONDS) as client:
        await raw.send(get(WATCH, people.ada.headers))
        assert await raw.status() == 200
        assert await raw.reader.readuntil(OPENING)
        await asyncio.sleep(0.5)  # what begins it looks for the workspace first, and says nothing when it has found it
        await uploaded(client, people.ada)
        assert b'"FILE_UPLOADED"' in await raw.reader.readuntil(b'"}}}\n\n')


async def test_the_service_is_well_and_has_said_nothing_that_it_should_not(people: People) -> None:
    await survives(people, *tickets)
