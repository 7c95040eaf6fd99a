"""What breaks below: whoever asked is answered, and the server learns of bugs alone."""

import asyncio
from http import HTTPStatus
from pathlib import Path

import orjson
import pytest
from httpx2 import AsyncClient
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from api.deadlines import ReaderStalled
from api.envelope import SenderStalled
from api.faults import Faults
from api.metrics import Metrics
from tests.api.test_hostile_clients import answered
from tests.api.test_signed_uploads import announced
from tests.api.test_tus import created
from tests.api.test_tus import head as get_head
from tests.asking import sign_up
from tests.live import serving
from tests.machine import PATIENCE_SECONDS

HTTP: Scope = {"type": "http", "state": {"request_id": "the-request"}}
HEAD: Message = {"type": "http.response.start", "status": 200, "headers": []}
STALLS = [SenderStalled("Too little came."), ReaderStalled("Too little was taken.")]


class Below:
    """An application that raises this, after it has sent that."""

    def __init__(self, fault: Exception, *sent: Message) -> None:
        self.fault = fault
        self.sent = sent

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        for message in self.sent:
            await send(message)
        raise self.fault


async def nothing() -> Message:
    raise NotImplementedError


class Asked:
    """What came of asking an application that stands on something broken."""

    def __init__(self, below: Below, scope: Scope = HTTP) -> None:
        self.metrics = Metrics()
        self.answer: list[Message] = []
        self._faults = Faults(below, self.metrics)
        self._scope = scope

    async def run(self) -> "Asked":
        await self._faults(dict(self._scope), nothing, self._send)
        return self

    async def _send(self, message: Message) -> None:
        self.answer.append(message)

    @property
    def status(self) -> int:
        return int(self.answer[0]["status"])

    @property
    def code(self) -> str:
        body = orjson.loads(self.answer[1]["body"])
        assert (body["status"], body["requestId"]) == (self.status, "the-request")
        return str(body["code"])

    @property
    def faults(self) -> int:
        [family] = [each for each in self.metrics.collect() if each.name == "cairn_faults"]
        return int(family.samples[0].value)


async def test_a_bug_is_answered_and_left_to_the_server() -> None:
    asked = Asked(Below(KeyError("a secret")))
    with pytest.raises(KeyError):
        await asked.run()
    assert (asked.status, asked.code, asked.faults) == (500, "INTERNAL", 1)
    assert b"secret" not in asked.answer[1]["body"]


async def test_an_outage_of_the_database_is_answered_and_told_here() -> None:
    with capture_logs() as lines:
        asked = await Asked(Below(ConnectionRefusedError())).run()
    assert (asked.status, asked.code, asked.faults) == (503, "UNAVAILABLE", 1)
    assert [(line["event"], line["log_level"]) for line in lines if line["log_level"] != "debug"] == [
        ("fault", "warning")
    ]


@pytest.mark.parametrize("status", [404, 405])
async def test_what_is_not_served_is_said_to_be_so(status: int) -> None:
    asked = await Asked(Below(HTTPException(status, headers={"Allow": "GET"}))).run()
    assert (asked.status, asked.code, asked.faults) == (status, HTTPStatus(status).name, 0)
    assert (b"allow", b"GET") in asked.answer[0]["headers"]


async def test_an_answer_that_an_outage_cuts_short_stays_as_it_is() -> None:
    asked = await Asked(Below(ConnectionRefusedError(), HEAD)).run()
    assert (asked.answer, asked.faults) == ([HEAD], 1)


@pytest.mark.parametrize("fault", [KeyError(), HTTPException(404)])
async def test_a_bug_in_the_middle_of_an_answer_is_left_to_the_server(fault: Exception) -> None:
    asked = Asked(Below(fault, HEAD))
    with pytest.raises(type(fault)):
        await asked.run()
    assert (asked.answer, asked.faults) == ([HEAD], 1)


async def test_a_bug_is_heard_of_also_where_nobody_takes_the_answer() -> None:
    async def stalled(_message: Message) -> None:
        raise ReaderStalled

    with pytest.raises(KeyError):
        await Faults(Below(KeyError()), Metrics())(dict(HTTP), nothing, stalled)


@pytest.mark.parametrize("stall", STALLS)
async def test_clients_that_stall_are_for_the_deadlines(stall: Exception) -> None:
    asked = Asked(Below(stall))
    with pytest.raises(type(stall)):
        await asked.run()
    assert (asked.answer, asked.faults) == ([], 0)


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_what_is_no_request_ends_as_it_does(kind: str) -> None:
    asked = Asked(Below(ConnectionRefusedError()), {"type": kind})
    with pytest.raises(ConnectionRefusedError):
        await asked.run()
    assert asked.answer == []


async def head_of_answer(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_SECONDS)
    finally:
        writer.transport.abort()


async def test_senders_of_parts_that_stall_are_told_so(tmp_path: Path) -> None:
    with serving(tmp_path, {"CAIRN_STALL_SECONDS": "0.5"}) as live:
        async with AsyncClient(base_url=live.url, timeout=PATIENCE_SECONDS) as client:
            ada = await sign_up(client)
            url = (await created(client, ada, 100)).removeprefix(live.url)
            target = (await announced(client, ada, 100))["url"].removeprefix(live.url)
            patch = (
                f"PATCH {url} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ada.token}\r\nTus-Resumable: 1.0.0\r\n"
                "Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 100\r\n\r\n"
            )
            put = f"PUT {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
            for head in (patch, put):
                status, answer = await answered(live.port, head.encode(), b"hello")
                assert (status, answer["code"]) == (408, "REQUEST_TIMEOUT")
            rest = patch.replace("Offset: 0", "Offset: 5").replace("Length: 100", "Length: 95")
            told = await head_of_answer(live.port, rest.encode() + b"hello")
            assert told.startswith(b"HTTP/1.1 408 ")
            assert b"\r\ntus-resumable: 1.0.0\r\n" in told
            offset = (await get_head(client, ada, url)).headers["upload-offset"]
            assert offset == "10"
        assert '"level":"error"' not in live.log.read_text()
