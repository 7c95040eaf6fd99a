import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import cast
from urllib.parse import quote

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.responses import PlainTextResponse
from starlette.types import Message

from api.credentials import UNKNOWN, Standing
from api.gate import Gate
from api.graphql import GraphQLEndpoint
from api.guards import Guard
from api.limits import Counting
from api.metrics import Metrics
from api.operations import Operations
from api.parts import parts_of
from api.settings import Settings
from api.streams import Streams
from db.bus import Bus
from domain.errors import Unavailable
from domain.events import RequestFacts
from domain.viewer import Viewer
from schema.execution import Executor
from schema.pricing import QueryLimits
from tests.asking import LOGIN, PASSWORD, ask, post, sign_up
from tests.live import Live
from tests.records import MovableClock, make_ports
from tests.schema.small import SCHEMA, Around


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Which database it is cannot matter here."""
    return sqlite_url


GRAPHQL = "application/graphql-response+json"
TYPENAME = {"query": "{ __typename }"}
LOGIN_BY_FRAGMENT = """
mutation Login($input: LoginInput!) { __typename ...l }
fragment l on Mutation { login(input: $input) { accessToken } }
"""
LOGIN_AND_MORE = """
mutation ($input: LoginInput!) {
  login(input: $input) { accessToken }
  purgeFiles(input: { ids: [] }) { results { id } }
}
"""


def code_of(answer: Response) -> str:
    """The code of the first error, after what every refusal of this endpoint has in common."""
    body = answer.json()
    assert set(body) == {"errors"}
    assert all(set(error) <= {"message", "locations", "path", "extensions"} for error in body["errors"])
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["content-length"] == str(len(answer.content))
    code: str = body["errors"][0]["extensions"]["code"]
    return code


async def test_an_answer_has_the_type_that_was_asked_for(client: AsyncClient) -> None:
    for accept, expected in ((None, "application/json"), ("*/*", "application/json"), (GRAPHQL, GRAPHQL)):
        headers = {"accept": accept} if accept else {}
        answer = await client.post("/graphql", json=TYPENAME, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{expected}; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Accept"
        assert answer.json() == {"data": {"__typename": "Query"}}


async def test_a_client_that_takes_nothing_is_told_in_json(client: AsyncClient) -> None:
    answer = await client.post("/graphql", json=TYPENAME, headers={"accept": "text/csv"})
    assert (answer.status_code, code_of(answer)) == (406, "NOT_ACCEPTABLE")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{ nodes(ids: 5.5) { id } }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query a { viewer { id } }", "operationName": "b"}, "OPERATION_NOT_FOUND"),
        ({"query": "query ($id: ID!) { node(id: $id) { id } }"}, "BAD_USER_INPUT"),
        ({"query": "{" + " a" * 3000 + "}"}, "QUERY_TOO_COMPLEX"),
        ({"query": "subscription { fileChanged }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "mutation { uploadFile(input: { file: null }) { file { id } } }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": 'mutation { uploadFile(input: { file: "a" }) { file { id } } }'}, "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_a_refused_document_has_status_400_or_in_plain_json_200(
    client: AsyncClient, body: dict[str, str], code: str
) -> None:
    answer = await client.post("/graphql", json=body, headers={"accept": GRAPHQL})
    assert (answer.status_code, code_of(answer)) == (400, code)
    answer = await client.post("/graphql", json=body)
    assert (answer.status_code, code_of(answer)) == (200, code)


async def test_null_parameters_are_as_if_they_were_absent(client: AsyncClient) -> None:
    body = {**TYPENAME, "variables": None, "operationName": None, "extensions": None, "id": 5}
    assert (await client.post("/graphql", json=body)).json() == {"data": {"__typename": "Query"}}


async def test_a_persisted_query_without_its_document_is_answered_as_apollo_expects(client: AsyncClient) -> None:
    body = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "00"}}}
    answer = await client.post("/graphql", json=body)
    assert (answer.status_code, code_of(answer)) == (400, "PERSISTED_QUERY_NOT_SUPPORTED")
    assert answer.json()["errors"][0]["message"] == "PersistedQueryNotSupported"


async def test_a_body_over_the_limit_is_413(client: AsyncClient, settings: Settings) -> None:
    limit = settings.maximum_operations_bytes
    headers = {"content-type": "application/json"}
    allowed = b'{"query":"{ __typename }"' + b" " * (limit - 26) + b"}"
    assert (await client.post("/graphql", content=allowed, headers=headers)).status_code == 200
    answer = await client.post("/graphql", content=allowed + b" ", headers=headers)
    assert (answer.status_code, code_of(answer)) == (413, "REQUEST_TOO_LARGE")
    assert str(limit) in answer.json()["errors"][0]["message"]

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(limit // 1000 + 2):
            yield b" " * 1000

    answer = await client.post("/graphql", content=chunks(), headers=headers)
    assert (answer.status_code, code_of(answer)) == (413, "REQUEST_TOO_LARGE")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "text/plain", "authorization": "Bearer x"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/graphql"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/json; charset=utf-16"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "multipart/form-data; boundary=x"}, 403, "PREFLIGHT_REQUIRED"),
        ({"content-type": "multipart/form-data", "graphql-require-preflight": "1"}, 400, "MULTIPART_INVALID"),
        ({"content-type": "application/json", "authorization": "Bearer nonsense"}, 401, "UNAUTHENTICATED"),
        ({"content-type": "application/json", "authorization": "Basic YTpi"}, 401, "UNAUTHENTICATED"),
        ({"content-type": "application/json", "x-api-key": "nonsense"}, 401, "UNAUTHENTICATED"),
        ({"content-type": "multipart/form-data; boundary=x", "authorization": "Bearer x"}, 401, "UNAUTHENTICATED"),
    ],
)
async def test_what_a_head_gets_wrong_is_said_before_the_body_is_read(
    client: AsyncClient, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await client.post("/graphql", content=b"x", headers=headers)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"])
async def test_other_methods_are_405(client: AsyncClient, method: str) -> None:
    answer = await client.request(method, "/graphql", json=TYPENAME)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"


async def test_get_serves_queries(client: AsyncClient) -> None:
    variables = json.dumps({"id": "file_" + "0" * 32})
    query = "query a($id: ID!) { node(id: $id) { id } } query b { __typename }"
    answer = await client.get("/graphql", params={"query": query, "operationName": "a", "variables": variables})
    assert answer.json() == {"data": {"node": None}}
    answer = await client.get(
        "/graphql", params={"query": query, "operationName": "b", "variables": "", "extensions": "null"}
    )
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize("accept", ["application/json", GRAPHQL])
async def test_get_never_changes_anything(client: AsyncClient, accept: str) -> None:
    query = 'mutation { login(input: { username: "a", password: "b" }) { accessToken } }'
    answer = await client.get("/graphql", params={"query": query}, headers={"accept": accept})
    assert (answer.status_code, code_of(answer)) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        "query",
        "query=%FF",
        "query=%ED%A0%80",
        "query=%7B__typename%7D&query=%7B__typename%7D",
        "query=%7B__typename%7D&variables=5",
        "query=%7B__typename%7D&variables=[]",
        "query=%7B__typename%7D&variables=%7B",
        "query=%7B__typename%7D&variables=" + quote("[" * 5000),
        "query=%7B__typename%7D&extensions=%22%22",
        "&".join(f"a{number}=1" for number in range(100)),
        "variables=%7B%7D",
    ],
)
async def test_urls_that_are_no_request_are_400(client: AsyncClient, query_string: str) -> None:
    answer = await client.get(f"/graphql?{query_string}")
    code = "GRAPHQL_PARSE_FAILED" if query_string == "query" else "BAD_REQUEST"
    assert (answer.status_code, code_of(answer)) == (200 if query_string == "query" else 400, code)


async def test_a_browser_gets_graphiql_and_a_program_an_answer(client: AsyncClient) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    page = await client.get("/graphql", headers=browser)
    assert page.headers["content-type"].startswith("text/html")
    assert (await client.get("/graphql", params=TYPENAME)).json()["data"] == {"__typename": "Query"}
    posted = await client.post("/graphql", json=TYPENAME, headers=browser)
    assert posted.json() == {"data": {"__typename": "Query"}}


async def test_an_expired_token_keeps_nobody_from_signing_in(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    ports = parts_of(settings).ports
    now = ports.clock.now()
    holder = ports.tokens.verify(ada.token, now)
    expired = replace(ada, token=ports.tokens.issue(holder, now - timedelta(days=1), now).text)
    given = {"username": "ada", "password": PASSWORD}
    for document in (LOGIN, LOGIN_BY_FRAGMENT):
        answer = await post(client, document, expired, input=given)
        assert answer.json()["data"]["login"]["accessToken"]
    for document in ("{ __typename viewer { id } }", "{ __typename }", LOGIN_AND_MORE):
        answer = await post(client, document, expired, input=given)
        assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = await client.get("/graphql", params={"query": "{ viewer { id } }"}, headers=expired.headers)
    assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")
    assert (await ask(client, "{ viewer { username } }", ada)) == {"viewer": {"username": "ada"}}


class Endpoint:
    """The endpoint alone, over the small schema, with its seams in the test's hands."""

    def __init__(self) -> None:
        self.faults: list[BaseException] = []
        self.trouble: Exception | None = None
        self.events: list[str] = []
        self.made = GraphQLEndpoint(
            operations=Operations(
                executor=Executor(SCHEMA, QueryLimits(), self.faults.append),
                counting=Counting(make_ports(MovableClock()), lambda _: RequestFacts()),
                facts_of=lambda _: RequestFacts(request_id="the-request"),
                make_context=self.make_context,
                metrics=Metrics(),
            ),
            gate=cast("Gate", SimpleNamespace()),
            identify=self.identify,
            guard=partial(Guard, Bus()),
            streams=Streams(1),
            report=self.faults.append,
            page=lambda: PlainTextResponse("the page"),
            body_bytes=1000,
        )

    async def identify(self, _scope: object) -> Standing:
        self.events.append("identify")
        return UNKNOWN

    def make_context(self, _viewer: Viewer, _facts: RequestFacts) -> Around:
        if self.trouble:
            raise self.trouble
        return Around()

    async def post(self, query: str, accept: str = GRAPHQL) -> Response:
        async with AsyncClient(transport=ASGITransport(self.made), base_url="http://here") as client:
            return await client.post("/graphql", json={"query": query}, headers={"accept": accept})


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


async def test_a_fault_in_a_field_is_masked_and_names_the_request(endpoint: Endpoint) -> None:
    answer = await endpoint.post("{ broken hello }")
    assert answer.status_code == 200
    assert answer.json()["data"] == {"broken": None, "hello": "hello you"}
    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "the-request"}
    assert "hunter2" not in answer.text
    assert len(endpoint.faults) == 1


@pytest.mark.parametrize("accept", ["application/json", GRAPHQL])
async def test_a_fault_around_the_fields_is_a_graphql_body_too(endpoint: Endpoint, accept: str) -> None:
    endpoint.trouble = RuntimeError("hunter2")
    answer = await endpoint.post("{ hello }", accept)
    assert (answer.status_code, code_of(answer)) == (500, "INTERNAL")
    assert "hunter2" not in answer.text
    assert endpoint.faults == [endpoint.trouble]


async def test_an_answer_that_is_no_json_is_a_fault(endpoint: Endpoint) -> None:
    answer = await endpoint.post("{ unspeakable }")
    assert (answer.status_code, code_of(answer)) == (500, "INTERNAL")
    assert len(endpoint.faults) == 1


async def test_a_refusal_around_the_fields_has_the_status_of_its_kind(endpoint: Endpoint) -> None:
    endpoint.trouble = Unavailable(message="Not now.", retry_after_seconds=7)
    answer = await endpoint.post("{ hello }")
    assert (answer.status_code, code_of(answer)) == (503, "UNAVAILABLE")
    assert answer.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE", "retryAfterSeconds": 7}


async def test_who_asks_is_known_before_the_body_is_asked_for(endpoint: Endpoint) -> None:
    async def receive() -> Message:
        endpoint.events.append("receive")
        return {"type": "http.disconnect"}

    async def send(_message: Message) -> None:
        endpoint.events.append("send")

    headers = [(b"content-type", b"application/json")]
    await endpoint.made({"type": "http", "method": "POST", "headers": headers, "query_string": b""}, receive, send)
    assert endpoint.events == ["identify", "receive"]  # and nobody is left to answer


async def test_the_page_is_for_browsers(endpoint: Endpoint) -> None:
    async with AsyncClient(transport=ASGITransport(endpoint.made), base_url="http://here") as client:
        assert (await client.get("/graphql", headers={"accept": "text/html"})).text == "the page"
        pageless = replace(endpoint.made, page=None)
    async with AsyncClient(transport=ASGITransport(pageless), base_url="http://here") as client:
        answer = await client.get("/graphql", headers={"accept": "text/html"})
        assert (answer.status_code, code_of(answer)) == (406, "NOT_ACCEPTABLE")


def exchange(live: Live, head: str, body: bytes = b"") -> bytes:
    """What a client reads that sends this head, and the body without waiting to be told to."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        with suppress(OSError):
            connection.sendall(body)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


HEAD = "POST /graphql HTTP/1.1\nHost: here\nContent-Type: application/json\nConnection: close\n"


def test_a_client_that_waits_to_be_told_to_send_is_refused_without_being_told(live: Live) -> None:
    expecting = f"{HEAD}Expect: 100-continue\nContent-Length: 27"
    assert exchange(live, f"{expecting}\nAuthorization: Bearer nonsense").startswith(b"HTTP/1.1 401 ")
    assert exchange(live, f"{expecting}0000000").startswith(b"HTTP/1.1 413 ")


def test_a_client_that_waits_to_be_told_to_send_is_told(live: Live) -> None:
    expecting = f"{HEAD}Expect: 100-continue\nContent-Length: 27\n\n".replace("\n", "\r\n")
    with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
        connection.sendall(expecting.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b'{"query": "{ __typename }"}')
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_is_still_sending_reads_why_it_is_refused(live: Live) -> None:
    megabytes = 20_000_000
    for head, status in ((f"{HEAD}Content-Length: {megabytes}", 413), (f"{HEAD}Transfer-Encoding: chunked", 413)):
        body = b" " * megabytes if "Length" in head else b"10000\r\n" + b" " * 65536 + b"\r\n"
        answer = exchange(live, head, body if "Length" in head else body * 300)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert b'"code":"REQUEST_TOO_LARGE"' in answer


def test_a_connection_that_is_cut_in_a_body_leaves_the_service_well(live: Live) -> None:
    for body in (b"", b'{"query": "{ __type'):
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as connection:
            connection.sendall(f"{HEAD}Content-Length: 27\n\n".replace("\n", "\r\n").encode() + body)
    answer = exchange(live, f"{HEAD}Content-Length: 27", b'{"query": "{ __typename }"}')
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"fault" not in live.log.read_bytes()
