"""Kill -9 at any moment: what was acknowledged is there, what was not is nowhere, and nothing stays on the disk."""

import asyncio
import hashlib
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from httpx2 import AsyncClient, HTTPError

from tests.asking import Account, ask, log_in, sign_up, upload
from tests.live import Live, serving
from tests.machine import PATIENCE_SECONDS, wait_for

SENDERS = 6
FILES_EACH = 6
QUICK_LEASES = {"CAIRN_LEASE_SECONDS": "1", "CAIRN_ACCESS_TOKEN_SECONDS": "3600"}
FILES = """query ($after: String) {
  files(first: 100, after: $after) { nodes { id name digest } pageInfo { hasNextPage endCursor } }
}"""


async def send_until_cut(service: Live, asker: Account, sender: int, acknowledged: dict[str, str]) -> None:
    """Upload one file after another, small and large, until the service dies; note what it has acknowledged."""
    async with AsyncClient(base_url=service.url, timeout=30) as client:
        for number in range(1000):
            content = random.Random(f"{sender} {number}").randbytes(random.choice([100, 70_000, 3_000_000]))
            name = f"{sender}-{number}.txt"
            try:
                payload = await upload(client, asker, name, content.hex().encode())
            except HTTPError:
                return
            assert payload["problems"] == []
            acknowledged[name] = hashlib.sha256(content.hex().encode()).hexdigest()


async def listed(client: AsyncClient, asker: Account) -> list[dict[str, Any]]:
    """Every file there is."""
    files: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await ask(client, FILES, asker, after=after))["files"]
        files += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return files


def blobs_in(folder: Path) -> int:
    """How many blobs lie in the store, received or half received, leased or not."""
    return sum(1 for name in ("blobs", "incoming", "leases") for path in (folder / name).rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.2, 0.5, 1.3])
async def test_what_was_acknowledged_survives_and_nothing_else_is_left(
    database_url: str, tmp_path: Path, moment: float
) -> None:
    environment = QUICK_LEASES | {"CAIRN_DATABASE_URL": database_url}
    acknowledged: dict[str, str] = {}
    with serving(tmp_path, environment) as service:
        async with AsyncClient(base_url=service.url, timeout=PATIENCE_SECONDS) as client:
            ada = await sign_up(client)
        senders = [asyncio.create_task(send_until_cut(service, ada, sender, acknowledged)) for sender in range(SENDERS)]
        await asyncio.sleep(moment)
        service.kill()
        await asyncio.gather(*senders)
    with serving(tmp_path, environment) as service:
        async with AsyncClient(base_url=service.url, timeout=30) as client:
            ada = Account(ada.id, ada.username, (await log_in(client))["accessToken"])
            files = await listed(client, ada)
            digests = {file["name"]: file["digest"] for file in files}
            assert acknowledged.items() <= digests.items(), "an acknowledged file is lost"
            for file in files:
                answer = await client.get(f"/files/{file['id']}/download", headers=ada.headers)
                assert hashlib.sha256(answer.content).hexdigest() == file["digest"], "a row points at other bytes"
        await asyncio.to_thread(wait_for, lambda: blobs_in(service.data_folder) == len(files), 20)


async def send_until_acknowledged(service: Live, asker: Account, sender: int) -> dict[str, str]:
    """Upload some files, each as often as it takes, with a key of its own; what they are."""
    sent: dict[str, str] = {}
    for number in range(FILES_EACH):
        content = random.Random(f"{sender} {number}").randbytes(random.choice([100, 70_000, 1_000_000])).hex().encode()
        name = f"{sender}-{number}.txt"
        while name not in sent:
            with suppress(HTTPError):
                async with AsyncClient(base_url=service.url, timeout=PATIENCE_SECONDS) as client:
                    payload = await upload(client, asker, name, content, idempotencyKey=name)
                    assert payload["problems"] == []
                    sent[name] = payload["file"]["digest"]
        assert sent[name] == hashlib.sha256(content).hexdigest()
    return sent


@pytest.mark.slow
async def test_one_process_after_another_dies_and_each_file_is_there_once(postgres_url: str, tmp_path: Path) -> None:
    environment = QUICK_LEASES | {"CAIRN_DATABASE_URL": postgres_url, "CAIRN_PROCESSES": "2"}
    with serving(tmp_path, environment) as service:
        async with AsyncClient(base_url=service.url, timeout=PATIENCE_SECONDS) as client:
            ada = await sign_up(client)
        above = psutil.Process(service.process.pid)
        senders = [asyncio.create_task(send_until_acknowledged(service, ada, sender)) for sender in range(SENDERS)]
        killed: set[int] = set()
        while not all(sender.done() for sender in senders):
            await asyncio.sleep(1)
            for child in [child for child in above.children() if child.pid not in killed][:1]:
                child.kill()
                await asyncio.to_thread(child.wait, PATIENCE_SECONDS)
                killed.add(child.pid)
        sent = {name: digest for sender in senders for name, digest in (await sender).items()}
        assert len(killed) > 1
        async with AsyncClient(base_url=service.url, timeout=PATIENCE_SECONDS) as client:
            files = await listed(client, ada)
            assert sorted((file["name"], file["digest"]) for file in files) == sorted(sent.items())
        await asyncio.to_thread(wait_for, lambda: blobs_in(service.data_folder) == len(files), PATIENCE_SECONDS)
        assert blobs_in(service.data_folder) == len(files)
        assert service.stop() == 0
