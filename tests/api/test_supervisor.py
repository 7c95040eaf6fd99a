"""Several processes on one port: they share the work, one that dies is replaced, and they end as one."""

import json
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest
from httpx2 import AsyncClient

from tests.asking import sign_up, uploaded
from tests.live import STOP_SECONDS, Live, serving
from tests.machine import PATIENCE_SECONDS, free_port, wait_for
from tests.programs import run
from tests.scraping import BEARER, TOKEN, Scraped

PROCESSES = 3
QUERY = json.dumps({"query": "{ __typename }"}).encode()
HEAD = (
    "POST /graphql HTTP/1.1\r\nHost: cairn.test\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(QUERY)}\r\nExpect: 100-continue\r\n\r\n"
)
ANSWER = b'{"data":{"__typename":"Query"}}'


@pytest.fixture
def environment(postgres_url: str) -> dict[str, str]:
    return {"CAIRN_DATABASE_URL": postgres_url.replace("+asyncpg", ""), "CAIRN_PROCESSES": str(PROCESSES)}


@pytest.fixture
def service(environment: dict[str, str], tmp_path: Path) -> Iterator[Live]:
    with serving(tmp_path, environment) as live:
        yield live


def children(live: Live) -> set[int]:
    return {child.pid for child in psutil.Process(live.process.pid).children()}


def have_ended(pids: set[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


def is_refused(live: Live) -> bool:
    try:
        socket.create_connection(("127.0.0.1", live.port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def is_served(live: Live) -> bool:
    return httpx2.get(f"{live.url}/health/live", timeout=PATIENCE_SECONDS).status_code == httpx2.codes.OK


def told(live: Live, event: str) -> int:
    return sum(json.loads(line)["event"] == event for line in live.log.read_text().splitlines())


@contextmanager
def in_flight(live: Live) -> Iterator[socket.socket]:
    """A request whose last byte is still to come."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=PATIENCE_SECONDS) as sender:
        sender.sendall(HEAD.encode())
        assert b"100 Continue" in sender.recv(65536)
        sender.sendall(QUERY[:-1])
        yield sender


def answer(sender: socket.socket) -> bytes:
    received = b""
    while piece := sender.recv(65536):
        received += piece
    return received


async def test_what_one_process_has_taken_is_given_out_by_all(service: Live) -> None:
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with AsyncClient(base_url=service.url, timeout=60, limits=limits) as client:
        ada = await sign_up(client)
        file = await uploaded(client, ada, "notes.txt", b"a few words\n")
        for _ in range(4 * PROCESSES):
            found = await client.get(f"/files/{file['id']}/download", headers=ada.headers)
            assert found.content == b"a few words\n"
    assert len(children(service)) == PROCESSES
    assert told(service, "listening") == 1


def test_one_that_is_killed_is_replaced_while_the_others_serve(service: Live) -> None:
    before = children(service)
    for pid in before:
        psutil.Process(pid).kill()
        assert is_served(service)
    assert wait_for(lambda: len(children(service) - before) == PROCESSES, PATIENCE_SECONDS)
    assert is_served(service)
    assert told(service, "a process ended and is started again") == PROCESSES
    assert service.stop() == 0


@pytest.mark.parametrize("others_too", [False, True], ids=["the one above", "all of them"])
def test_a_signal_ends_all_once_what_is_in_flight_is_done(service: Live, *, others_too: bool) -> None:
    pids = children(service)
    with in_flight(service) as sender:
        service.process.send_signal(signal.SIGTERM)
        for pid in pids if others_too else ():
            psutil.Process(pid).terminate()
        assert wait_for(lambda: is_refused(service), PATIENCE_SECONDS)
        assert service.process.poll() is None
        sender.sendall(QUERY[-1:])
        assert answer(sender).endswith(ANSWER)
    assert service.process.wait(STOP_SECONDS) == 0
    assert have_ended(pids)
    assert told(service, "stopped") == 1


def test_a_second_signal_drops_what_is_in_flight(service: Live) -> None:
    pids = children(service)
    with in_flight(service) as sender:
        service.process.send_signal(signal.SIGINT)
        assert wait_for(lambda: is_refused(service), PATIENCE_SECONDS)
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(STOP_SECONDS) == 0
        assert have_ended(pids)
        assert ANSWER not in answer(sender)


def test_they_end_gracefully_when_the_one_above_is_killed(service: Live) -> None:
    pids = children(service)
    with in_flight(service) as sender:
        service.kill()
        assert wait_for(lambda: is_refused(service), PATIENCE_SECONDS)
        sender.sendall(QUERY[-1:])
        assert answer(sender).endswith(ANSWER)
    assert wait_for(lambda: have_ended(pids), PATIENCE_SECONDS)


def test_each_has_a_port_for_its_metrics(environment: dict[str, str], tmp_path: Path) -> None:
    first = free_port(PROCESSES)
    own = {"CAIRN_METRICS_TOKEN": TOKEN, "CAIRN_METRICS_PORT": str(first)}
    with serving(tmp_path, environment | own) as service:
        asked = 20
        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(lambda _: is_served(service), range(asked)))
        assert httpx2.get(f"{service.url}/metrics", headers=BEARER).status_code == httpx2.codes.NOT_FOUND
        scraped = [scrape(first + number) for number in range(PROCESSES)]
        series = (
            "cairn_http_requests_total",
            frozenset({("method", "GET"), ("route", "/health/live"), ("status", "2xx")}),
        )
        assert sum(one.series.get(series, 0) for one in scraped) == asked


def test_the_service_does_not_start_when_one_cannot(environment: dict[str, str], tmp_path: Path) -> None:
    first = free_port(PROCESSES)
    own = {"CAIRN_METRICS_PORT": str(first), "CAIRN_PORT": "0", "CAIRN_DATA_FOLDER": str(tmp_path)}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + PROCESSES - 1))
        taken.listen()
        ended = run("api", "serve", folder=tmp_path, environment=environment | own)
    assert ended.returncode == 1
    assert "CAIRN_METRICS_PORT: cannot listen on it" in ended.stdout
    assert "stopped" not in ended.stdout


def scrape(port: int) -> Scraped:
    found = httpx2.get(f"http://127.0.0.1:{port}/metrics", headers=BEARER)
    assert found.status_code == httpx2.codes.OK
    return Scraped(found.text)
