"""Two processes of the service: uploads whose sender hangs at one are gone on with, or given up, at the other."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest
from httpx2 import AsyncClient

from db import quotas
from db.engine import Database
from tests.api.test_signed_uploads import ABORT, announced, part_urls
from tests.api.test_tus import PIECE, USAGE, VERSION, created, head, send, session
from tests.asking import Account, ask, sign_up
from tests.live import Live, serving_together
from tests.machine import PATIENCE_SECONDS, comes_true

STALL_SECONDS = 10 * PATIENCE_SECONDS
"""Nothing here ends because a sender stalls."""

UPLOADS = 4
CONTENT = b"".join(b"line %d of a text\n" % number for number in range(400_000))
HALF = len(CONTENT) // 2


@pytest.fixture(params=["without Redis", "with Redis"])
def processes(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[list[Live]]:
    """Two processes that tell each other by PostgreSQL, or by Redis."""
    redis = {"REDIS_URL": request.getfixturevalue("redis_url")} if request.param == "with Redis" else {}
    patient = {"CAIRN_STALL_SECONDS": str(STALL_SECONDS)}
    with serving_together(tmp_path, postgres_url, patient | redis) as both:
        yield both


@pytest.fixture
async def clients(processes: list[Live]) -> AsyncIterator[list[AsyncClient]]:
    """One that asks each of the processes."""
    one, other = (AsyncClient(base_url=process.url, timeout=PATIENCE_SECONDS) for process in processes)
    async with asyncio.timeout(2 * PATIENCE_SECONDS), one, other:
        yield [one, other]


@asynccontextmanager
async def hanging(service: Live, method: str, url: str, headers: dict[str, str]) -> AsyncIterator[asyncio.Task[bytes]]:
    """A client that has sent half of its bytes, and hangs: all that it is answered until its connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    told = {"Host": "cairn.test", "Content-Length": str(len(CONTENT)), **headers}
    lines = [f"{method} {url} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    writer.write("\r\n".join(lines).encode() + CONTENT[:HALF])
    await writer.drain()
    answer = asyncio.create_task(reader.read())
    try:
        yield answer
    finally:
        answer.cancel()
        writer.close()


def path_of(url: str) -> str:
    """What is asked for, of whatever process."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


async def begun(tmp_path: Path) -> None:
    """Wait until bytes of the one upload that there is lie on the disk: then its sender is at it."""
    assert await comes_true(lambda: any(each.stat().st_size for each in (tmp_path / "shared/incoming").iterdir()))


async def go_on(client: AsyncClient, asker: Account, url: str) -> int:
    """Do what clients of tus do, until everything has come; from where it went on at last."""
    while True:
        told = await head(client, asker, url)
        assert told.status_code == 200
        offset = int(told.headers["upload-offset"])
        answer = await send(client, asker, url, offset, CONTENT[offset:])
        if answer.status_code == 204:
            return offset
        assert answer.status_code in {409, 423}


async def is_exact(database_url: str) -> bool:
    database = Database(database_url)
    async with database.reading() as rows:
        found = await quotas.differences(rows)
    await database.close()
    return found == []


async def test_an_upload_that_hangs_at_one_process_goes_on_at_another(
    processes: list[Live], clients: list[AsyncClient], postgres_url: str, tmp_path: Path
) -> None:
    one, other = clients
    ada = await sign_up(one)
    url = path_of(await created(one, ada, len(CONTENT)))
    async with hanging(processes[0], "PATCH", url, {**ada.headers, **PIECE, "Upload-Offset": "0"}) as answer:
        await begun(tmp_path)
        assert 0 < await go_on(other, ada, url) <= HALF
        assert (await answer).startswith(b"HTTP/1.1 423 ")
    found = await session(other, ada, url)
    assert (found["state"], found["file"]["digest"]) == ("COMMITTED", hashlib.sha256(CONTENT).hexdigest())
    usage = (await ask(one, USAGE, ada))["viewer"]["account"]["usage"]
    assert usage == {"used": len(CONTENT), "reserved": 0, "files": 1}
    assert await is_exact(postgres_url)


async def test_who_sends_at_one_process_is_told_that_the_upload_was_given_up_at_another(
    processes: list[Live], clients: list[AsyncClient], postgres_url: str, tmp_path: Path
) -> None:
    one, other = clients
    ada = await sign_up(one)
    piece = {**ada.headers, **PIECE, "Upload-Offset": "0"}
    url = path_of(await created(one, ada, len(CONTENT)))
    async with hanging(processes[0], "PATCH", url, piece) as answer:
        await begun(tmp_path)
        assert (await other.delete(url, headers={**ada.headers, **VERSION})).status_code == 204
        assert (await answer).startswith(b"HTTP/1.1 410 ")
    for transport in ("SINGLE_PUT", "PARTS"):
        upload = await announced(one, ada, len(CONTENT), transport=transport)
        [url] = [upload["url"]] if upload["url"] else await part_urls(one, ada, upload["id"], 1)
        async with hanging(processes[0], "PUT", path_of(url), {}) as answer:
            await begun(tmp_path)
            await ask(other, ABORT, ada, id=upload["id"])
            told = await answer
            assert told.startswith(b"HTTP/1.1 409 ")
            assert b"UPLOAD_ENDED" in told
    assert (await ask(one, USAGE, ada))["viewer"]["account"]["usage"] == {"used": 0, "reserved": 0, "files": 0}
    assert list((tmp_path / "shared/incoming").iterdir()) == []
    assert await is_exact(postgres_url)


async def test_clients_that_fight_over_an_upload_do_not_harm_it(clients: list[AsyncClient], postgres_url: str) -> None:
    ada = await sign_up(clients[0])
    urls = [path_of(await created(clients[0], ada, len(CONTENT))) for _ in range(UPLOADS)]
    fights = [fight(Random(f"{url} {number}"), clients, ada, url) for url in urls for number in range(2)]
    await asyncio.gather(*fights)
    for url in urls:
        found = await session(clients[0], ada, url)
        assert (found["state"], found["file"]["digest"]) == ("COMMITTED", hashlib.sha256(CONTENT).hexdigest())
    usage = (await ask(clients[0], USAGE, ada))["viewer"]["account"]["usage"]
    assert usage == {"used": UPLOADS * len(CONTENT), "reserved": 0, "files": UPLOADS}
    assert await is_exact(postgres_url)


async def fight(random: Random, clients: list[AsyncClient], asker: Account, url: str) -> None:
    """Ask how far an upload is, and send more of it, each time to some process, until it has become a file."""
    while True:
        told = await head(random.choice(clients), asker, url)
        assert told.status_code == 200
        if "cairn-file" in told.headers:
            return
        offset = int(told.headers["upload-offset"])
        data = CONTENT[offset : offset + random.randrange(1, len(CONTENT) // 4)]
        answer = await send(random.choice(clients), asker, url, offset, slowly(data))
        assert answer.status_code in {204, 409, 410, 423}  # 410: the other has sent the last of it


async def slowly(data: bytes) -> AsyncIterator[bytes]:
    """Some bytes, and the other client's turn."""
    for at in range(0, len(data), 100_000):
        yield data[at : at + 100_000]
        await asyncio.sleep(0.01)
