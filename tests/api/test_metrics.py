import platform
import re
from typing import Any

import pytest
from httpx2 import AsyncClient

from api.metrics import Metrics
from api.samples import Sample
from api.version import VERSION
from db.engine import Pool
from domain.figures import Figures
from storage.room import Disk
from tests.asking import Account, ask, log_in, personal_workspace, post, sign_up, upload, uploaded
from tests.scraping import Scraped, promtool


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Counting does not depend on the database; what is asked of it is tested in tests/domain/test_figures.py."""
    return sqlite_url


RENAME = "mutation Rename($input: RenameFileInput!) { renameFile(input: $input) { problems { code } } }"
CREATE_UPLOAD = """
mutation Announce($input: CreateUploadInput!) { createUpload(input: $input) { uploadSession { id url } } }
"""
END_UPLOAD = "mutation End($input: %sUploadInput!) { %sUpload(input: $input) { problems { code } } }"
OPERATIONS = "cairn_graphql_operations_total"
ENDED = "cairn_uploads_ended_total"
EVERYTHING = Sample(
    pools={"all": Pool(2, 20)},
    is_redis_up=True,
    disk=Disk(1000, 400),
    figures=Figures(5, 6, 7, [("mail.send", "DEAD", 3)], 1.5, [("TUS", "OPEN", 4)]),
    as_of=1.0,
)


async def scrape(client: AsyncClient) -> Scraped:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return Scraped(answer.text)


async def end_upload(client: AsyncClient, asker: Account, verb: str, upload_id: str) -> Any:
    query = END_UPLOAD % (verb.capitalize(), verb)
    return await ask(client, query, asker, input={"id": upload_id})


async def announce(client: AsyncClient, asker: Account, **given: Any) -> Any:
    data = await ask(client, CREATE_UPLOAD, asker, input={"name": "a.txt", "size": 3, **given})
    return data["createUpload"]["uploadSession"]


async def test_requests_are_counted_by_method_route_and_class_of_status(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    for _ in range(3):
        await client.get(f"/files/{file['id']}/download", headers=ada.headers)
    await client.get(f"/files/{file['id']}/download")
    await client.get("/nowhere/at/all")
    await client.request("BREW", "/graphql")
    found, name = await scrape(client), "cairn_http_requests_total"
    download = "/files/{file_id}/download"
    assert found.of(name, method="GET", route=download, status="2xx") == 3
    assert found.of(name, method="GET", route=download, status="4xx") == 1
    assert found.of(name, method="GET", route="none", status="4xx") == 1
    assert found.of(name, method="other", route="/graphql", status="4xx") == 1
    assert found.of("cairn_http_request_duration_seconds_count", route=download) == 4


async def test_bytes_are_counted_by_route(client: AsyncClient) -> None:
    ada = await sign_up(client)
    before = await scrape(client)
    file = await uploaded(client, ada, content=b"x" * 100_000)
    await client.get(f"/files/{file['id']}/download", headers=ada.headers)
    found = await scrape(client)
    received = [each.total("cairn_http_received_bytes_total", route="/graphql") for each in (before, found)]
    assert 100_000 < received[1] - received[0] < 102_000
    assert found.of("cairn_http_sent_bytes_total", route="/files/{file_id}/download") == 100_000


async def test_operations_are_counted_by_name_type_and_outcome(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await post(client, "query Mine { viewer { id } }", ada)
    await post(client, "{ viewer { id } }", ada)
    await post(client, RENAME, ada, input={"id": "file_0", "name": "b.txt"})
    await post(client, "query Denied { users { totalCount } }", ada)
    await post(client, "query Wrong { nothing }", ada)
    await client.post("/graphql", content=b"{", headers={"content-type": "application/json"})
    found = await scrape(client)
    assert found.of(OPERATIONS, name="Mine", type="query", outcome="ok") == 1
    assert found.of(OPERATIONS, name="unnamed", type="query", outcome="ok") == 1
    assert found.of(OPERATIONS, name="Rename", type="mutation", outcome="refused") == 1
    assert found.of(OPERATIONS, name="Denied", type="query", outcome="refused") == 1
    assert found.of(OPERATIONS, name="other", type="unknown", outcome="refused") == 2
    assert found.of("cairn_graphql_operation_duration_seconds_count", name="Mine", type="query") == 1
    assert found.total("cairn_faults_total") == 0


async def test_faults_are_counted(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await sign_up(client)

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("db.files.page", broken)
    await post(client, "query Broken { files { nodes { id } } }", ada)
    found = await scrape(client)
    assert found.of(OPERATIONS, name="Broken", type="query", outcome="fault") == 1
    assert found.total("cairn_faults_total") == 1


async def test_uploads_are_counted_by_transport_and_end(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await uploaded(client, ada)
    await upload(client, ada, name="virus.exe")
    await upload(client, ada, name="watched.exe", uploadId=f"upl_{1:032x}")
    await uploaded(client, ada, uploadId=f"upl_{2:032x}")
    await uploaded(client, ada, idempotencyKey="once")
    await uploaded(client, ada, idempotencyKey="once")
    for content in (b"abc", b"\x89PN"):
        announced = await announce(client, ada)
        assert (await client.put(announced["url"], content=content)).status_code < 300
        await end_upload(client, ada, "complete", announced["id"])
    announced = await announce(client, ada, transport="TUS")
    await end_upload(client, ada, "abort", announced["id"])
    await end_upload(client, ada, "abort", announced["id"])
    await announce(client, ada, transport="TUS")
    found = await scrape(client)
    assert found.of(ENDED, transport="MULTIPART", end="COMMITTED") == 3
    assert found.of(ENDED, transport="MULTIPART", end="REJECTED") == 2
    assert found.total(ENDED, transport="SINGLE_PUT") == 2
    assert found.of(ENDED, transport="TUS", end="ABORTED") == 1
    assert found.of("cairn_uploads_open", transport="TUS", state="OPEN") == 1
    assert found.of("cairn_uploads_open", transport="MULTIPART", state="RECEIVING") is None


async def test_what_was_looked_at_is_told(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await uploaded(client, ada, content=b"x" * 1000)
    found = await scrape(client)
    assert found.of("cairn_storage_used_bytes") == 1000
    assert found.of("cairn_files") == 1
    assert found.of("cairn_jobs", kind="mail.send", state="WAITING") == 1
    assert (found.of("cairn_disk_free_bytes") or 0) < (found.of("cairn_disk_size_bytes") or 0)
    assert found.of("cairn_database_connections_limit", pool="writing") == 1
    assert found.of("cairn_build_info", version=VERSION, python=platform.python_version()) == 1
    assert found.of("cairn_redis_up") is None


async def test_no_label_holds_what_a_request_said_of_people_and_files(client: AsyncClient) -> None:
    ada = await sign_up(client, "hypatia")
    file = await uploaded(client, ada, name="manuscript.txt")
    url = (await ask(client, "query ($id: ID!) { file(id: $id) { downloadUrl } }", ada, id=file["id"]))["file"]
    await client.get(url["downloadUrl"])
    await log_in(client, "hypatia", "not the password")
    await post(client, f"query Q_{file['id']} {{ viewer {{ id }} }}", ada)
    await client.get(f"/files/{file['id']}/manuscript.txt")
    await client.get("/uploads/hypatia", headers=ada.headers)
    workspace = await personal_workspace(client, ada)
    found = await scrape(client)
    assert [value for _, value in found.labels() if re.search(r"[0-9a-f]{8,}", value)] == []
    for secret in ("hypatia", "manuscript", "example.org", "127.0.0.1", ada.token, workspace, ada.id, "signature"):
        assert secret not in found.text


async def test_names_of_operations_are_bounded(client: AsyncClient) -> None:
    ada = await sign_up(client)
    for number in range(120):
        letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        await post(client, f"query Q{letters} {{ viewer {{ id }} }}", ada)
    found = await scrape(client)
    names = {value for name, value in found.labels() if name == "name"}
    assert len(names) <= 102
    assert found.total(OPERATIONS, type="query") == 120


async def test_whoever_is_not_signed_in_makes_no_name_known(client: AsyncClient) -> None:
    await post(client, "query Stranger { viewer { id } }")
    found = await scrape(client)
    assert found.of(OPERATIONS, name="other", type="query", outcome="ok") == 1


async def test_promtool_finds_nothing_to_complain_about(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await uploaded(client, ada)
    said = promtool("check", "metrics", given=(await scrape(client)).text)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_every_metric_passes_promtool_also_those_that_need_redis_or_jobs() -> None:
    metrics = used_up()
    said = promtool("check", "metrics", given=metrics.text(EVERYTHING).decode())
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_what_could_not_be_looked_at_is_left_out() -> None:
    found = Scraped(Metrics().text(Sample(pools={})).decode())
    assert {name for name in found.names if re.match("cairn_(storage|disk|jobs|files|redis)", name)} == set()


def used_up() -> Metrics:
    """Metrics of which every one has a series."""
    metrics = Metrics()
    metrics.answered("GET", "/graphql", None, 0.1)
    metrics.received("/graphql", 1)
    metrics.sent("/graphql", 1)
    metrics.operation_ended("Q", "query", "ok", 0.1)
    metrics.upload_ended("TUS", "COMMITTED")
    metrics.job_ended("mail.send", "done", 0.1)
    metrics.cache_asked("q", "hit")
    return metrics
