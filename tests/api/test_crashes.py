"""Kill -9 at any moment: what was acknowledged is there, what was not is nowhere, and nothing stays on the disk."""

import asyncio
import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient, HTTPError

from tests.asking import Account, ask, log_in, sign_up, upload
from tests.live import Live, serving
from tests.machine import wait_for

SENDERS = 6
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
        async with AsyncClient(base_url=service.url) as client:
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
