"""Every hostile request of the tables: refused by the bytes that decide it, leaving nothing behind."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import orjson
import pytest
from httpx2 import ASGITransport, AsyncClient
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from api.app import create_app
from api.settings import Settings
from tests import servers
from tests.api import hostile
from tests.api.bodies import split, uploads
from tests.api.hostile import Case
from tests.api.hostile_documents import DOCUMENTS
from tests.api.hostile_envelopes import ENVELOPES
from tests.api.hostile_files import FILES
from tests.asking import ask, sign_up, upload
from tests.lifespan import running
from tests.machine import comes_true

CASES = {case.name: case for case in (*ENVELOPES, *DOCUMENTS, *FILES)}
ANSWER_SECONDS = 10
ORIGIN = "https://files.example"


@dataclass(frozen=True, slots=True)
class Target:
    """The real application with somebody who may upload."""

    app: ASGIApp
    client: AsyncClient
    token: str
    folder: Path

    def stored(self) -> set[Path]:
        """What lies in the store."""
        return {path for path in self.folder.rglob("*") if path.is_file()}

    def names(self) -> set[str]:
        """The names of it: a blob that was accepted before has a second place until its lease has ended."""
        return {path.name for path in self.stored()}


@dataclass(slots=True)
class Exchange:
    """One request whose body stops after what decides it; whoever wants more waits."""

    case: Case
    status: int = 0
    body: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    left: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = split(self.case.decisive, 999)

    async def receive(self) -> Message:
        if self.left:
            return {
                "type": "http.request",
                "body": self.left.pop(0),
                "more_body": bool(self.left) or not self.case.is_whole,
            }
        if self.case.is_whole:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.released.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message.get("body", b"")
            self.answered.set()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        copy = tmp_path_factory.mktemp("hostile") / "cairn.sqlite"
        shutil.copyfile(servers.migrated_sqlite(run_folder), copy)
        return f"sqlite+aiosqlite:///{copy}"
    migrated = servers.migrated_postgres(run_folder)
    own = migrated.set(database=f"test_{uuid4().hex}")
    servers.create_database(own, template=migrated.database or "")
    request.addfinalizer(lambda: servers.drop_database(own))  # noqa: PT021 - only one of the two has something to drop
    return own.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
async def target(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    folder = tmp_path_factory.mktemp("data")
    app = create_app(
        Settings(
            data_folder=folder,
            database_url=shared_url,
            public_url=ORIGIN,
            disk_floor_bytes=0,
            maximum_file_bytes=hostile.MAXIMUM_FILE_BYTES,
            maximum_request_bytes=hostile.MAXIMUM_REQUEST_BYTES,
            maximum_operations_bytes=hostile.MAXIMUM_OPERATIONS_BYTES,
            maximum_map_bytes=hostile.MAXIMUM_MAP_BYTES,
            maximum_files=hostile.MAXIMUM_FILES,
            discard_seconds=1,
            rate_limits=False,
            log_level="error",
        )
    )
    async with running(app), AsyncClient(transport=ASGITransport(app), base_url=ORIGIN) as client:
        yield Target(app, client, (await sign_up(client)).token, folder)


async def exchanged(target: Target, case: Case) -> Exchange:
    """The answer to what decides; the rest is never sent."""
    exchange = Exchange(case)
    head = case.head(target.token)
    if not {"content-length", "transfer-encoding"} & set(head):
        head["content-length" if case.is_whole else "transfer-encoding"] = (
            str(len(case.decisive)) if case.is_whole else "chunked"
        )
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in head.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    serving = asyncio.ensure_future(target.app(scope, exchange.receive, exchange.send))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await exchange.answered.wait()
    finally:
        exchange.released.set()
        await serving
    return exchange


def code_of(answer: Any) -> str:
    """The code of the first error, or of the first problem of the first upload."""
    if "errors" in answer:
        found: str = answer["errors"][0]["extensions"]["code"]
        return found
    payload = next(iter(answer["data"].values()))
    problems = payload["problems"] or payload["results"][0]["problems"]
    return str(problems[0]["code"])


def test_there_are_many_cases_and_no_two_are_the_same() -> None:
    assert len(CASES) == len(ENVELOPES) + len(DOCUMENTS) + len(FILES) >= 200


@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_request_is_refused_by_what_decides_it_and_leaves_nothing(target: Target, name: str) -> None:
    case = CASES[name]
    before = target.names()
    exchange = await exchanged(target, case)
    answer = orjson.loads(exchange.body)
    assert (exchange.status, code_of(answer)) == (case.status, case.code), answer
    assert target.names() == before
    # What is still on its way would be taken for the next request.
    assert (exchange.headers.get(b"connection") == b"close") == (not case.is_whole)


GARBLINGS = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 40), st.binary(max_size=10)), min_size=1, max_size=3
)


@pytest.mark.slow
@hypothesis.settings(max_examples=1000, deadline=None)
@hypothesis.given(garblings=GARBLINGS)
async def test_a_garbled_upload_is_never_a_fault(target: Target, garblings: list[tuple[int, int, bytes]]) -> None:
    body = uploads([b"first", b"second"], ["a.txt", "b.txt"])
    for start, length, instead in garblings:
        body = body[:start] + instead + body[start + length :]
    exchange = await exchanged(target, Case("", 0, "", body, is_whole=True))
    assert 200 <= exchange.status < 500
    assert await comes_true(lambda: not {path.parent.name for path in target.stored()} & {"incoming", "leases"})


async def test_after_all_of_them_the_service_works_as_before(target: Target) -> None:
    ada = await sign_up(target.client, "grace")
    payload = await upload(target.client, ada)
    assert payload["problems"] == []
    assert (await ask(target.client, "{ viewer { username } }", ada))["viewer"]["username"] == "grace"
