"""Limits on requests through the front door: who is refused, in which form, and what every answer tells."""

import re
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.types import ASGIApp

from api.app import create_app
from api.settings import DAY, HOUR, MINUTE, Settings
from db.rates import Rate
from db.redis import RedisLink
from tests.api.bodies import CONTENT_TYPE, upload
from tests.asking import ask, create_key, post, sign_up, uploaded
from tests.lifespan import running
from tests.machine import PATIENCE_SECONDS
from tests.servers import OwnRedis

ORIGIN = "http://cairn.test"
GRAPHQL = "application/graphql-response+json"
WHO = "{ viewer { username } }"
From = Callable[[str], AsyncClient]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rate_limits": True})


@pytest.fixture
def limited(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update=request.param)


@pytest.fixture
async def app_from(limited: Settings) -> AsyncIterator[From]:
    """A client that asks from an address."""
    app = create_app(limited)
    async with AsyncExitStack() as closing:
        await closing.enter_async_context(running(app))
        yield asking_from(app)


def asking_from(app: ASGIApp) -> From:
    def client(address: str) -> AsyncClient:
        return AsyncClient(transport=ASGITransport(app, client=(address, 4711)), base_url=ORIGIN)

    return client


def limits(**rates: object) -> pytest.MarkDecorator:
    """The settings of a test: the rates that it is about, on one kind of database, since none has a part in it."""
    named = ", ".join(rates)
    return pytest.mark.parametrize(
        ("database_url", "limited"), [pytest.param("sqlite", rates, id=named)], indirect=["database_url", "limited"]
    )


def error_of(answer: Response) -> dict[str, Any]:
    [error] = answer.json()["errors"]
    found: dict[str, Any] = error["extensions"]
    return found


def told(answer: Response) -> dict[str, tuple[int, int, int, int]]:
    """What the head says of each limit: allowed, in how many seconds, left, whole again in how many seconds."""
    policies = re.findall(r'"([a-z-]+)";q=(\d+);w=(\d+)', answer.headers.get("ratelimit-policy", ""))
    states = re.findall(r'"([a-z-]+)";r=(\d+);t=(\d+)', answer.headers.get("ratelimit", ""))
    assert [name for name, *_ in policies] == [name for name, *_ in states]
    return {name: (int(q), int(w), int(r), int(t)) for (name, q, w), (_, r, t) in zip(policies, states, strict=True)}


@limits(requests_per_address=Rate(3, MINUTE))
async def test_an_address_that_asks_too_much_is_refused_with_a_graphql_body(app_from: From) -> None:
    client = app_from("192.0.2.1")
    for _ in range(3):
        assert (await post(client, WHO)).status_code == 200
    for accept in ("*/*", "application/json", GRAPHQL, "image/png"):
        answer = await client.post("/graphql", json={"query": WHO}, headers={"accept": accept})
        assert answer.status_code == 429
        expected = GRAPHQL if accept == GRAPHQL else "application/json"
        assert answer.headers["content-type"] == f"{expected}; charset=utf-8"
        assert error_of(answer) == {
            "code": "RATE_LIMITED",
            "policy": "requests-per-address",
            "limit": 3,
            "windowSeconds": 60,
            "retryAfterSeconds": int(answer.headers["retry-after"]),
        }
        assert 1 <= int(answer.headers["retry-after"]) <= 20
        assert answer.headers["x-request-id"]
    assert (await post(app_from("192.0.2.2"), WHO)).status_code == 200


@limits(requests_per_address=Rate(2, MINUTE))
async def test_elsewhere_it_is_a_problem_and_probes_are_never_refused(app_from: From) -> None:
    client = app_from("192.0.2.1")
    for _ in range(2):
        assert (await client.get("/nowhere")).status_code == 404
    for path in ("/nowhere", "/files/file_x/download", "/healthy"):
        answer = await client.get(path)
        assert answer.status_code == 429
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["code"], problem["title"], problem["policy"]) == (
            "RATE_LIMITED",
            "Too Many Requests",
            "requests-per-address",
        )
        assert problem["requestId"] == answer.headers["x-request-id"]
        assert int(answer.headers["retry-after"]) == problem["retryAfterSeconds"]
    for path in ("/health", "/health/live", "/health/ready"):
        answer = await client.get(path)
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


@limits(requests_per_address=Rate(50, HOUR), requests_per_user=Rate(20, HOUR), cost_per_user=Rate(1000, HOUR))
async def test_every_answer_tells_how_whoever_asked_stands(app_from: From) -> None:
    client = app_from("192.0.2.1")
    ada = await sign_up(client)
    answer = await post(client, WHO, ada)
    standings = told(answer)
    assert {name: standing[:3] for name, standing in standings.items()} == {
        "requests-per-address": (50, 3600, 48),
        "requests-per-user": (20, 3600, 19),
        "cost-per-user": (1000, 3600, 998),
    }
    assert 72 < standings["requests-per-address"][3] <= 144
    assert 90 < standings["requests-per-user"][3] <= 180
    assert "retry-after" not in answer.headers
    file = await uploaded(client, ada)
    answer = await client.get(f"/files/{file['id']}/download", headers=ada.headers)
    assert answer.status_code == 200
    assert told(answer)["requests-per-user"][2] == 17
    answer = await client.get("/files/file_x/download", headers=ada.headers)
    assert set(told(answer)) == {"requests-per-address", "requests-per-user"}
    answer = await client.post("/graphql", content=b"{", headers={"content-type": "application/json"})
    assert set(told(answer)) == {"requests-per-address"}


@limits(requests_per_user=Rate(3, MINUTE))
async def test_a_user_is_counted_over_all_addresses_and_routes(app_from: From) -> None:
    ada, bob = await sign_up(app_from("192.0.2.1"), "ada"), await sign_up(app_from("192.0.2.1"), "bob")
    statuses = [(await post(app_from(f"192.0.2.{number}"), WHO, ada)).status_code for number in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    answer = await post(app_from("192.0.2.9"), WHO, ada)
    assert error_of(answer)["policy"] == "requests-per-user"
    assert told(answer)["requests-per-user"][2:] == (0, int(answer.headers["retry-after"]))
    answer = await app_from("192.0.2.9").get("/files/file_x/download", headers=ada.headers)
    assert (answer.status_code, answer.json()["policy"]) == (429, "requests-per-user")
    answer = await app_from("192.0.2.9").post(
        "/graphql", content=upload(b"x"), headers={"content-type": CONTENT_TYPE, **ada.headers}
    )
    assert (answer.status_code, error_of(answer)["policy"]) == (429, "requests-per-user")
    assert (await post(app_from("192.0.2.1"), WHO, bob)).status_code == 200
    assert (await post(app_from("192.0.2.1"), WHO)).status_code == 200


@limits(requests_per_key=Rate(3, HOUR))
async def test_requests_by_a_key_are_counted_for_that_key(app_from: From) -> None:
    client = app_from("192.0.2.1")
    ada = await sign_up(client, "ada")
    first, second = await create_key(client, ada, "files:read"), await create_key(client, ada, "files:read")
    statuses = [(await post(client, WHO, first)).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert error_of(await post(client, WHO, first))["policy"] == "requests-per-key"
    assert (await post(client, WHO, second)).status_code == 200
    assert (await post(client, WHO, ada)).status_code == 200


@limits(cost_per_user=Rate(1200, HOUR), cost_per_address=Rate(1200, HOUR))
async def test_what_operations_cost_is_counted_before_they_run(app_from: From) -> None:
    client = app_from("192.0.2.1")
    ada, bob = await sign_up(client, "ada"), await sign_up(client, "bob")
    dear = "{ files(first: 100) { nodes { id name size digest } } }"
    statuses = [(await post(client, dear, ada)).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    answer = await post(client, dear, ada)
    assert (answer.status_code, error_of(answer)["policy"]) == (429, "cost-per-user")
    assert (await post(client, WHO, ada)).status_code == 200
    assert (await post(client, dear, bob)).status_code == 200
    statuses = [(await post(client, dear)).status_code for _ in range(4)]
    assert statuses[-1] == 429
    assert (await post(app_from("192.0.2.2"), dear)).status_code == 200
    answer = await client.get("/graphql", params={"query": dear})
    assert (answer.status_code, error_of(answer)["policy"]) == (429, "cost-per-address")


@limits(cost_per_user=Rate(5, MINUTE))
async def test_an_operation_with_files_is_priced_too(app_from: From) -> None:
    client = app_from("192.0.2.1")
    ada = await sign_up(client)
    head = {"content-type": CONTENT_TYPE, **ada.headers}
    statuses = [(await client.post("/graphql", content=upload(b"x"), headers=head)).status_code for _ in range(2)]
    assert statuses == [200, 429]


@limits(requests_per_address=Rate(4, MINUTE))
async def test_neighbours_in_one_network_of_ipv6_count_as_one(app_from: From) -> None:
    statuses = [(await post(app_from(f"2001:db8:1:1::{number}"), WHO)).status_code for number in range(1, 7)]
    assert statuses == [200, 200, 200, 200, 429, 429]
    assert (await post(app_from("2001:db8:1:2::1"), WHO)).status_code == 200


async def statuses_by_forwarded(client: AsyncClient) -> list[int]:
    answers = [
        await client.post("/graphql", json={"query": WHO}, headers={"x-forwarded-for": f"203.0.113.{number}"})
        for number in range(4)
    ]
    return [answer.status_code for answer in answers]


@limits(requests_per_address=Rate(2, MINUTE))
async def test_what_a_stranger_says_of_its_address_is_not_believed(app_from: From) -> None:
    assert await statuses_by_forwarded(app_from("192.0.2.1")) == [200, 200, 429, 429]


@limits(requests_per_address=Rate(2, MINUTE), trusted_proxies=(ip_network("192.0.2.1/32"),))
async def test_behind_a_trusted_proxy_its_clients_are_counted(app_from: From) -> None:
    assert await statuses_by_forwarded(app_from("192.0.2.1")) == [200, 200, 200, 200]
    assert await statuses_by_forwarded(app_from("192.0.2.2")) == [200, 200, 429, 429]


@limits(requests_per_address=Rate(1, MINUTE), cors_origins=("https://app.example",))
async def test_a_page_of_another_origin_can_read_that_it_is_refused(app_from: From) -> None:
    client = app_from("192.0.2.1")
    for _ in range(2):
        answer = await client.post("/graphql", json={"query": WHO}, headers={"origin": "https://app.example"})
    assert answer.status_code == 429
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(
        answer.headers["access-control-expose-headers"].split(", ")
    )


@limits(rate_limits=False, requests_per_address=Rate(1, MINUTE), signups_per_address=Rate(1, HOUR))
async def test_all_limits_can_be_switched_off(app_from: From) -> None:
    client = app_from("192.0.2.1")
    for name in ("ada", "bob", "eve"):
        await sign_up(client, name)
    answer = await post(client, WHO)
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


@limits()
async def test_the_defaults_let_a_busy_client_work(app_from: From) -> None:
    client = app_from("192.0.2.1")
    ada = await sign_up(client)
    for _ in range(200):
        assert (await post(client, WHO, ada)).status_code == 200


SIGNUP = """
mutation ($input: SignupInput!) {
  signup(input: $input) {
    user { id } problems { __typename code message ... on RateLimited { retryAfterSeconds policy limit windowSeconds } }
  }
}
"""


@limits(signups_per_address=Rate(3, HOUR))
async def test_signups_are_limited_whether_they_work_or_tell_that_a_name_is_taken(app_from: From) -> None:
    client = app_from("192.0.2.1")
    given = {"username": "grace", "email": "grace@example.org", "password": "a quiet harbour at dusk"}
    codes = []
    for _ in range(4):
        payload = (await ask(client, SIGNUP, input=given))["signup"]
        codes.append([problem["code"] for problem in payload["problems"]])
    assert codes == [[], ["NAME_TAKEN"] * 2, ["NAME_TAKEN"] * 2, ["RATE_LIMITED"]]
    [problem] = payload["problems"]
    assert problem["__typename"] == "RateLimited"
    assert (problem["policy"], problem["limit"], problem["windowSeconds"]) == ("signups-per-address", 3, 3600)
    assert 1 <= problem["retryAfterSeconds"] <= 1200
    other = given | {"username": "ada", "email": "ada@example.org"}
    assert (await ask(app_from("192.0.2.2"), SIGNUP, input=other))["signup"]["problems"] == []


async def sent(client: AsyncClient, token: dict[str, str], body: bytes) -> list[str]:
    answer = await client.post("/graphql", content=body, headers={"content-type": CONTENT_TYPE, **token})
    payload = answer.json()["data"]["uploadFile"]
    return [problem["code"] for problem in payload["problems"]]


@limits(uploaded_bytes_per_user=Rate(10_000, DAY))
async def test_uploaded_bytes_are_limited_by_what_is_declared_and_by_what_comes(app_from: From) -> None:
    client = app_from("192.0.2.1")
    ada, bob = await sign_up(client, "ada"), await sign_up(client, "bob")
    assert await sent(client, ada.headers, upload(b"x" * 6000)) == []
    assert await sent(client, ada.headers, upload(b"x" * 6000)) == ["RATE_LIMITED"]
    assert await sent(client, ada.headers, upload(b"x" * 3900)) == []
    assert await sent(client, bob.headers, upload(b"x" * 6000)) == []
    assert await sent(client, bob.headers, upload(b"x" * 6000)) == ["RATE_LIMITED"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_processes_with_one_redis_count_together(
    settings: Settings, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each counts by itself while Redis takes longer than that to answer, which on a busy machine it does.
    monkeypatch.setattr("api.parts.RedisLink", partial(RedisLink, timeout_seconds=PATIENCE_SECONDS))
    address = f"2001:db8:{hash(tmp_path) % 65536:x}::1"
    own = settings.model_copy(update={"redis_url": redis_url, "requests_per_address": Rate(6, HOUR)})
    one, other = create_app(own), create_app(own.model_copy(update={"data_folder": tmp_path / "other"}))
    async with running(one), running(other):
        clients = [asking_from(one)(address), asking_from(other)(address)]
        statuses = [(await post(clients[number % 2], WHO)).status_code for number in range(10)]
    assert statuses == [200] * 6 + [429] * 4


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_redis_that_hangs_dies_and_comes_back_is_no_error(settings: Settings, own_redis: OwnRedis) -> None:
    app = create_app(settings.model_copy(update={"redis_url": own_redis.url}))
    async with running(app):
        client = asking_from(app)("192.0.2.1")
        ada = await sign_up(client)

        async def seconds() -> float:
            started_at = time.perf_counter()
            assert (await post(client, WHO, ada)).status_code == 200
            return time.perf_counter() - started_at

        usual = sorted([await seconds() for _ in range(9)])[4]
        own_redis.signal(signal.SIGSTOP)
        first, *others = [await seconds() for _ in range(10)]
        own_redis.signal(signal.SIGCONT)
        assert first < usual + 0.3  # 80 ms on an idle machine
        assert sorted(others)[4] < usual + 0.06
        own_redis.kill()
        for _ in range(5):
            await seconds()
        own_redis.start()
        for _ in range(5):
            await seconds()
