"""A disk that changes or loses bytes, and bytes that nobody knows of, against the whole service."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, Response

from api.settings import Settings
from storage.keys import new_key, path_of
from tests.asking import Account, ask, create_key, log_in, sign_up, uploaded
from tests.backstage import promote
from tests.live import serving
from tests.machine import PATIENCE_SECONDS
from tests.programs import outside, run

CONTENT = b"The quick brown fox jumps over the lazy dog.\n"
URL = "query ($id: ID!) { file(id: $id) { downloadUrl } }"
LOG = "{ auditLog(where: { kinds: [FILE_DAMAGED, FILE_MENDED] }) { nodes { kind targetId data } } }"
CHECK = """mutation ($input: CheckStorageInput!) { checkStorage(input: $input) {
  storageCheck { id state } problems { code }
} }"""
CHECKED = """query ($id: ID!) { storageCheck(id: $id) {
  state repair digests blobsSeen blobsTotal bytesHashed startedAt endedAt
  counts { kind found repaired } findings { kind subject size detail repaired }
} }"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A service that sweeps every second, and reads again what it has not read for a second."""
    return settings.model_copy(
        update={
            "worker": True,
            "lease_seconds": 1.0,
            "orphan_seconds": 1,
            "scrub_seconds": 1,
            "scrub_bytes_per_second": 1 << 30,
        }
    )


async def until(reached: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await reached():  # noqa: ASYNC110 - it is others who do it
            await asyncio.sleep(0.1)


def blobs_in(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    path.write_bytes(content)


async def done(client: AsyncClient, asker: Account, check_id: str) -> Any:
    """A check once it has ended."""
    found: Any = None

    async def has_ended() -> bool:
        nonlocal found
        found = (await ask(client, CHECKED, asker, id=check_id))["storageCheck"]
        return found["state"] in {"DONE", "FAILED"}

    await until(has_ended, 150)
    return found


async def test_a_flipped_bit_is_found_and_the_file_is_given_to_nobody_until_it_is_restored(
    client: AsyncClient, settings: Settings
) -> None:
    ada, boss = await sign_up(client), await sign_up(client, "boss")
    await promote(settings.database_url, boss)
    file = await uploaded(client, ada, "fox.txt", CONTENT)
    path, key = f"/files/{file['id']}/download", await create_key(client, ada, "files:read")
    link = (await ask(client, URL, ada, id=file["id"]))["file"]["downloadUrl"]
    [blob] = blobs_in(settings.data_folder)
    flip(blob)

    async def is_found() -> bool:
        return (await client.head(path, headers=ada.headers)).status_code != 200

    await until(is_found)
    for headers, url in ((ada.headers, path), (key.headers, path), ({}, link)):
        answer = await client.get(url, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "FILE_DAMAGED")
        assert answer.headers["content-type"] == "application/problem+json"
    cached = {"If-None-Match": f'"{file["digest"]}"'}
    assert (await client.get(path, headers=ada.headers | cached)).status_code == 503
    events = (await ask(client, LOG, boss))["auditLog"]["nodes"]
    assert events == [{"kind": "FILE_DAMAGED", "targetId": file["id"], "data": None}], "its details are for members"

    flip(blob)
    started = (await ask(client, CHECK, boss, input={}))["checkStorage"]
    assert started["problems"] == []
    assert (await done(client, boss, started["storageCheck"]["id"]))["counts"] == []
    assert (await client.get(path, headers=ada.headers)).content == CONTENT
    kinds = [event["kind"] for event in (await ask(client, LOG, boss))["auditLog"]["nodes"]]
    assert kinds == ["FILE_MENDED", "FILE_DAMAGED"]


async def test_bytes_that_nobody_knows_of_go_by_themselves(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada, "fox.txt", CONTENT)
    orphan, stray = settings.data_folder / "blobs" / path_of(new_key()), settings.data_folder / "incoming" / new_key()
    for left in (orphan, stray):
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"left behind")

    async def are_gone() -> bool:
        return not orphan.exists() and not stray.exists()

    await until(are_gone)
    answer = await client.get(f"/files/{file['id']}/download", headers=ada.headers)
    assert answer.content == CONTENT


def checking(folder: Path, database_url: str, *options: str) -> subprocess.CompletedProcess[str]:
    own = {"CAIRN_DATABASE_URL": database_url, "CAIRN_DATA_FOLDER": str(folder / "data")}
    return run("api", "check", *options, folder=folder, environment=outside() | own)


async def damaged(answer: Response) -> bool:
    return answer.status_code == 503 and answer.json()["code"] == "FILE_DAMAGED"


async def test_an_operator_checks_beside_a_running_service(sqlite_url: str, tmp_path: Path) -> None:
    with serving(tmp_path, {"CAIRN_DATABASE_URL": sqlite_url}) as live:
        async with AsyncClient(base_url=live.url, timeout=PATIENCE_SECONDS) as client:
            ada = await sign_up(client)
            files = [await uploaded(client, ada, f"{number}.txt", CONTENT) for number in range(3)]
            well = await asyncio.to_thread(checking, tmp_path, sqlite_url)
            assert (well.returncode, well.stdout) == (0, "Records and bytes agree: 3 blobs compared.\n"), well.stderr
            blob = blobs_in(live.data_folder)[0]
            flip(blob)
            assert (await asyncio.to_thread(checking, tmp_path, sqlite_url)).returncode == 0
            found = await asyncio.to_thread(checking, tmp_path, sqlite_url, "--digests", "--repair")
            assert found.returncode == 1, found.stderr
            assert found.stdout.splitlines() == [
                f"DIGEST_MISMATCH  {blob.name}  45 bytes  The bytes of a file are not those that came in.",
                f"3 blobs compared, {3 * 45} bytes read: 1 findings, 0 of them repaired.",
            ]
            answers = [await client.get(f"/files/{file['id']}/download", headers=ada.headers) for file in files]
            assert [await damaged(answer) for answer in answers].count(True) == 1
            assert all(answer.content == CONTENT for answer in answers if answer.status_code == 200)
        assert live.stop() == 0
        faults = [line for line in map(json.loads, live.log.read_text().splitlines()) if line["level"] == "error"]
        assert faults == []


@pytest.mark.slow
async def test_a_check_is_gone_on_with_after_kill_9(database_url: str, tmp_path: Path) -> None:
    environment = {"CAIRN_DATABASE_URL": database_url}
    with serving(tmp_path, environment) as live:
        async with AsyncClient(base_url=live.url, timeout=30) as client:
            boss = await sign_up(client, "boss")
            await promote(database_url, boss)
            for number in range(20):
                await uploaded(client, boss, f"{number}.txt", b"%d\n" % number * 100_000)
            flip(blobs_in(live.data_folder)[0])
            started = (await ask(client, CHECK, boss, input={"digests": True}))["checkStorage"]["storageCheck"]
        live.kill()
    with serving(tmp_path, environment) as live:
        async with AsyncClient(base_url=live.url, timeout=30) as client:
            boss = Account(boss.id, boss.username, (await log_in(client, "boss"))["accessToken"])
            ended = await done(client, boss, started["id"])
    assert (ended["state"], ended["blobsSeen"], ended["blobsTotal"]) == ("DONE", 20, 20)
    assert ended["counts"] == [{"kind": "DIGEST_MISMATCH", "found": 1, "repaired": 0}]
