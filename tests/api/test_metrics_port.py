"""Several processes: each counts what it does, is scraped by itself, and tells the same of what they share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.asking import PASSWORD, SIGNUP
from tests.live import STOP_SECONDS, serving
from tests.machine import free_port, listens, wait_for
from tests.programs import Program, outside, run, start
from tests.scraping import BEARER, TOKEN, Scraped

START_SECONDS = 30
SAMPLED = "cairn_sampled_timestamp_seconds"


def scrape(port: int) -> Scraped:
    answer = httpx2.get(f"http://127.0.0.1:{port}/metrics", headers=BEARER)
    assert answer.status_code == 200
    return Scraped(answer.text)


def sign_up(url: str, name: str) -> None:
    given = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
    answer = httpx2.post(f"{url}/graphql", json={"query": SIGNUP, "variables": {"input": given}})
    assert answer.json()["data"]["signup"]["problems"] == []


@contextmanager
def working(folder: Path, environment: dict[str, str]) -> Iterator[Program]:
    own = {"CAIRN_DATA_FOLDER": str(folder / "data"), **environment}
    process = start("api", "work", folder=folder, environment=outside() | own)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def test_two_services_and_a_worker_are_scraped_each_by_itself(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    ports = [free_port() for _ in range(3)]
    environment = {
        "CAIRN_DATABASE_URL": postgres_url,
        "CAIRN_REDIS_URL": redis_url,
        "CAIRN_SECRET_KEY": "k" * 32,
        "CAIRN_WORKER": "false",
        "CAIRN_METRICS_TOKEN": TOKEN,
    }
    folders = [tmp_path / name for name in ("one", "two", "worker")]
    for folder in folders:
        folder.mkdir()
    environments = [environment | {"CAIRN_METRICS_PORT": str(port)} for port in ports]
    with (
        serving(folders[0], environments[0]) as one,
        serving(folders[1], environments[1]) as two,
        working(folders[2], environments[2]),
    ):
        assert wait_for(lambda: listens(ports[2]), START_SECONDS)
        for url, names in ((one.url, ("ada", "bob", "cyd")), (two.url, ("dan",))):
            for name in names:
                sign_up(url, name)

        def are_done() -> bool:
            return scrape(ports[2]).of("cairn_job_attempts_total", kind="mail.send", outcome="done") == 4

        assert wait_for(are_done, START_SECONDS)
        found = [scrape(port) for port in ports]
        assert httpx2.get(f"{one.url}/metrics", headers=BEARER).status_code == 404
        answered = [each.total("cairn_http_requests_total", route="/graphql") for each in found]
        assert answered == [3, 1, 0]
        ended = [each.total("cairn_graphql_operations_total", type="mutation", outcome="ok") for each in found]
        assert ended == [3, 1, 0]
        assert [each.total("cairn_job_attempts_total") for each in found] == [0, 0, 4]
        # What they share is computed by one of them, and told alike by all; between two scrapes it may be renewed.
        assert wait_for(lambda: len({scrape(port).of(SAMPLED) for port in ports}) == 1, START_SECONDS)
        assert one.stop() == 0
        assert not listens(ports[0])


@pytest.mark.parametrize("command", ["serve", "work"])
def test_a_port_that_is_taken_ends_in_a_sentence(sqlite_url: str, tmp_path: Path, command: str) -> None:
    with serving(tmp_path, {"CAIRN_DATABASE_URL": sqlite_url}) as service:
        environment = {
            **outside(),
            "CAIRN_DATA_FOLDER": str(tmp_path / "data"),
            "CAIRN_DATABASE_URL": sqlite_url,
            "CAIRN_LOG_FORMAT": "json",
            "CAIRN_PORT": str(free_port()),
            "CAIRN_METRICS_PORT": str(service.port),
        }
        done = run("api", command, folder=tmp_path, environment=environment)
    assert done.returncode != 0
    assert "CAIRN_METRICS_PORT: cannot listen on it: Address already in use" in json.dumps(done.stdout + done.stderr)
