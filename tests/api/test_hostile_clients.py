"""Hostile clients on real sockets: still sending, slow, cut off, many at once. The service answers, forgets, lives."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from httpx2 import AsyncClient

from tests.api import hostile
from tests.api.bodies import END, upload, uploads
from tests.api.hostile import NEXT, OPERATIONS, Case
from tests.api.test_hostile_requests import CASES, code_of
from tests.asking import sign_up
from tests.live import Live, serving
from tests.machine import PATIENCE_SECONDS, wait_for

STALL_SECONDS = 1.0
STILL_SENDING = bytes(4 << 20)
"""More than the buffers between a client and the service hold."""

MEMORY_BYTES = 64 << 20
"""How much more than at its start the service may weigh at any time."""

LARGE_FILE = 100 << 20
BLOCK = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class Target:
    """A service in a process of its own, with somebody who may upload, and its weight when it had nothing to do."""

    live: Live
    token: str
    idle_bytes: int

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.live.process.pid)

    def stored(self) -> list[Path]:
        """What lies in the store."""
        folders = ("blobs", "incoming", "leases")
        return [path for name in folders for path in (self.live.data_folder / name).rglob("*") if path.is_file()]

    def peak_bytes(self) -> int:
        """The most that it has weighed."""
        status = Path(f"/proc/{self.live.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    environment = {
        "CAIRN_STALL_SECONDS": str(10 * PATIENCE_SECONDS),  # what is cleared away here is no matter of patience
        "CAIRN_MAXIMUM_FILE_BYTES": str(hostile.MAXIMUM_FILE_BYTES),
        "CAIRN_MAXIMUM_REQUEST_BYTES": str(hostile.MAXIMUM_REQUEST_BYTES),
        "CAIRN_MAXIMUM_OPERATIONS_BYTES": str(hostile.MAXIMUM_OPERATIONS_BYTES),
        "CAIRN_MAXIMUM_MAP_BYTES": str(hostile.MAXIMUM_MAP_BYTES),
        "CAIRN_MAXIMUM_FILES": str(hostile.MAXIMUM_FILES),
    }
    with serving(tmp_path_factory.mktemp("hostile"), environment) as live:
        yield live


@pytest.fixture(scope="module")
def hasty_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("hasty"), {"CAIRN_STALL_SECONDS": str(STALL_SECONDS)}) as live:
        yield live


@pytest.fixture(scope="module")
def large_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("large"), {"CAIRN_MAXIMUM_FILE_BYTES": str(LARGE_FILE)}) as live:
        yield live


async def aim(live: Live) -> Target:
    async with AsyncClient(base_url=live.url, timeout=PATIENCE_SECONDS) as client:
        token = (await sign_up(client)).token
    return Target(live, token, psutil.Process(live.process.pid).memory_info().rss)


@pytest.fixture(scope="module")
def target(service: Live) -> Target:
    return asyncio.run(aim(service))


@pytest.fixture(scope="module")
def hasty_target(hasty_service: Live) -> Target:
    return asyncio.run(aim(hasty_service))


@pytest.fixture(scope="module")
def large_target(large_service: Live) -> Target:
    return asyncio.run(aim(large_service))


def request_head(case: Case, token: str, length: int | None) -> bytes:
    given = case.head(token)
    if not {"content-length", "transfer-encoding"} & set(given):
        given |= {"transfer-encoding": "chunked"} if length is None else {"content-length": str(length)}
    lines = ["POST /graphql HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def upload_head(target: Target, length: int | None = None) -> bytes:
    return request_head(Case("", 0, "", b""), target.token, length)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n" if data else b""


def on_the_wire(case: Case, token: str) -> list[bytes]:
    """A case as a client sends it that does not stop at what decides it."""
    if case.is_whole:
        return [request_head(case, token, len(case.decisive)), case.decisive]
    body = case.decisive + case.rest
    declared = case.headers.get("content-length")
    if declared is not None:
        return [request_head(case, token, None), (body + STILL_SENDING)[: int(declared)]]
    return [request_head(case, token, None), chunk(body), chunk(STILL_SENDING), chunk(STILL_SENDING)]


async def answered(port: int, *pieces: bytes) -> tuple[int, Any]:
    """Send everything while reading the answer; its status and body. A reset before it is an error."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await read_answer(reader)
    finally:
        sending.cancel()
        await asyncio.wait({sending})
        writer.transport.abort()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    [length] = [line for line in head.splitlines() if line.startswith("content-length:")]
    body = await reader.readexactly(int(length.split(":")[1]))
    return int(head.split()[1]), orjson.loads(body)


@pytest.mark.parametrize("at_once", [1, 20])
async def test_every_hostile_request_is_answered_while_the_client_still_sends(target: Target, at_once: int) -> None:
    turns = asyncio.Semaphore(at_once)
    wrong: dict[str, object] = {}

    async def run(case: Case) -> None:
        async with turns:
            try:
                status, answer = await answered(target.live.port, *on_the_wire(case, target.token))
            except (OSError, EOFError, TimeoutError) as error:
                wrong[case.name] = error
                return
        if (status, code_of(answer)) != (case.status, case.code):
            wrong[case.name] = answer

    await asyncio.gather(*(run(case) for case in CASES.values()))
    assert wrong == {}
    assert wait_for(lambda: not target.stored(), PATIENCE_SECONDS)
    assert target.peak_bytes() < target.idle_bytes + MEMORY_BYTES


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"--",
        OPERATIONS[:-5],
        OPERATIONS + NEXT,
        upload(b"hello")[:-100],
        upload(b"hello").removesuffix(END),
        upload(b"hello").removesuffix(b"-\r\n"),
    ],
)
async def test_a_client_that_stops_sending_is_told_so_and_leaves_nothing(hasty_target: Target, begun: bytes) -> None:
    began = time.monotonic()
    status, answer = await answered(hasty_target.live.port, upload_head(hasty_target, 10_000), begun)
    assert (status, code_of(answer)) == (408, "REQUEST_TIMEOUT")
    assert time.monotonic() - began >= STALL_SECONDS * 0.9
    assert wait_for(lambda: not hasty_target.stored(), PATIENCE_SECONDS)


async def test_a_client_that_sends_a_byte_now_and_then_is_told_so(hasty_target: Target) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty_target.live.port)
    body = upload(b"hello" * 100)
    writer.write(upload_head(hasty_target, len(body)) + body[:300])

    async def dribble() -> None:
        for index in range(300, len(body)):
            writer.write(body[index : index + 1])
            await asyncio.sleep(STALL_SECONDS / 10)

    dribbling = asyncio.create_task(dribble())
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await read_answer(reader))[0] == 408
    dribbling.cancel()
    writer.transport.abort()
    assert wait_for(lambda: not hasty_target.stored(), PATIENCE_SECONDS)


def test_nobody_is_told_to_go_on_who_may_not(target: Target) -> None:
    case = Case("", 401, "", b"", headers={"authorization": "Bearer nonsense", "expect": "100-continue"})
    with socket.create_connection(("127.0.0.1", target.live.port), 10) as sender:
        sender.sendall(request_head(case, "", 10**6))
        assert sender.recv(65536).startswith(b"HTTP/1.1 401")
        sender.shutdown(socket.SHUT_WR)
        assert b"100" not in b"".join(iter(lambda: sender.recv(65536), b""))


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_is_cut_anywhere_leaves_nothing(target: Target, *, reset: bool) -> None:
    body = uploads([b"first" * 2000, b"second" * 2000], ["a.txt", "b.txt"])
    for cut in range(0, len(body) - 4, 997):
        with socket.create_connection(("127.0.0.1", target.live.port), 10) as sender:
            sender.sendall(upload_head(target, len(body)) + body[:cut])
            if reset:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert wait_for(lambda: not target.stored(), PATIENCE_SECONDS)


async def test_others_upload_undisturbed_while_hostile_clients_do_their_worst(target: Target) -> None:
    hostiles = [
        asyncio.create_task(answered(target.live.port, *on_the_wire(case, target.token)))
        for case in list(CASES.values())[::5]
    ]
    body = upload(b"a few words\n")
    for _ in range(20):
        status, answer = await answered(target.live.port, upload_head(target, len(body)), body)
        assert (status, answer["data"]["uploadFile"]["problems"]) == (200, [])
    await asyncio.gather(*hostiles)
    assert wait_for(lambda: len(target.stored()) == 20, PATIENCE_SECONDS)
    for path in target.stored():
        path.unlink()


async def test_large_uploads_that_are_refused_or_cut_weigh_nothing(large_target: Target) -> None:
    begin = upload(b"").removesuffix(END)

    async def pour(declared: int, sent: int, *, awaits: bool) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", large_target.live.port)
        try:
            writer.write(upload_head(large_target, declared) + begin)
            for _ in range(sent // len(BLOCK)):
                writer.write(BLOCK)
                await writer.drain()
            if awaits:
                status, answer = await read_answer(reader)
                assert (status, code_of(answer)) == (200, "FILE_TOO_LARGE")
        finally:
            writer.transport.abort()

    half = LARGE_FILE // 2
    await asyncio.gather(
        *(pour(LARGE_FILE, half, awaits=False) for _ in range(10)),
        *(pour(2 * LARGE_FILE, len(BLOCK), awaits=True) for _ in range(10)),
    )
    assert wait_for(lambda: not large_target.stored(), PATIENCE_SECONDS)
    assert large_target.peak_bytes() < large_target.idle_bytes + MEMORY_BYTES


def test_none_of_it_was_a_fault(target: Target, hasty_target: Target, large_target: Target) -> None:
    for each in (target, hasty_target, large_target):
        assert each.process.is_running()
        lines = [json.loads(line) for line in each.live.log.read_text().splitlines() if line.startswith("{")]
        assert [line for line in lines if line["level"] == "error" or (line.get("status") or 0) >= 500] == []
