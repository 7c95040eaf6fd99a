"""Kill -9 while uploads by tus are under way: what was acknowledged is there, and they go on where they were."""

import asyncio
import hashlib
import random
from pathlib import Path

import pytest
from httpx2 import AsyncClient, HTTPError

from db import quotas
from db.engine import Database
from tests.api.test_crashes import QUICK_LEASES
from tests.api.test_tus import USAGE, created, head, send, session
from tests.asking import Account, ask, log_in, sign_up
from tests.live import Live, serving
from tests.machine import PATIENCE_SECONDS, wait_for

SENDERS = 4
SIZE = 3_000_000
PIECE_BYTES = 400_000


def content_of(sender: int, number: int) -> bytes:
    return random.Random(f"{sender} {number}").randbytes(SIZE // 2).hex().encode()


Acknowledged = dict[str, tuple[bytes, int]]


async def send_until_cut(service: Live, asker: Account, sender: int, acknowledged: Acknowledged) -> None:
    """Send one upload after another in pieces, until the service dies; note how far it said that each has come."""
    async with AsyncClient(base_url=service.url, timeout=30) as client:
        for number in range(1000):
            content = content_of(sender, number)
            try:
                url = (await created(client, asker, SIZE)).removeprefix(service.url)
                acknowledged[url] = content, 0
                for at in range(0, SIZE, PIECE_BYTES):
                    answer = await send(client, asker, url, at, content[at : at + PIECE_BYTES])
                    assert answer.status_code == 204
                    acknowledged[url] = content, int(answer.headers["upload-offset"])
            except HTTPError:
                return


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.3, 1.1])
async def test_uploads_go_on_where_they_were_acknowledged(database_url: str, tmp_path: Path, moment: float) -> None:
    environment = QUICK_LEASES | {"CAIRN_DATABASE_URL": database_url}
    acknowledged: Acknowledged = {}
    with serving(tmp_path, environment) as service:
        async with AsyncClient(base_url=service.url, timeout=PATIENCE_SECONDS) as client:
            ada = await sign_up(client)
        senders = [asyncio.create_task(send_until_cut(service, ada, sender, acknowledged)) for sender in range(SENDERS)]
        await asyncio.to_thread(wait_for, lambda: bool(acknowledged), 30)
        await asyncio.sleep(moment)
        service.kill()
        await asyncio.gather(*senders)
    with serving(tmp_path, environment) as service:
        async with AsyncClient(base_url=service.url, timeout=30) as client:
            ada = Account(ada.id, ada.username, (await log_in(client))["accessToken"])
            for url, (content, offset) in list(acknowledged.items()):
                told = await head(client, ada, url)
                there = int(told.headers["upload-offset"])
                assert there >= offset
                if there < SIZE:
                    assert (await send(client, ada, url, there, content[there:])).status_code == 204
                found = await session(client, ada, url)
                if found["state"] == "VERIFYING":
                    # Its process died at that: a sweep has it verified some minutes later.
                    acknowledged[url] = b"", SIZE
                    continue
                assert (found["state"], found["file"]["digest"]) == ("COMMITTED", hashlib.sha256(content).hexdigest())
            listed = await ask(client, "{ uploadSessions(first: 100) { nodes { state } } }", ada)
            lost = [each for each in listed["uploadSessions"]["nodes"] if each["state"] == "OPEN"]
            usage = (await ask(client, USAGE, ada))["viewer"]["account"]["usage"]
    # An upload whose creation was not answered is somebody's whom it was not told to: it expires.
    verifying = sum(content == b"" for content, _ in acknowledged.values())
    files, reserved = len(acknowledged) - verifying, (len(lost) + verifying) * SIZE
    assert usage == {"used": files * SIZE, "reserved": reserved, "files": files}
    database = Database(database_url)
    async with database.reading() as rows:
        assert await quotas.differences(rows) == []
    await database.close()
