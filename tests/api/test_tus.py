"""tus 1.0 as its protocol says, asked as clients ask, and with requests that break it."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import update
from sqlmodel import col

from api.settings import Settings
from db import uploads
from db.models import Upload, UploadState
from tests.asking import Account, ask, create_key, sign_up
from tests.backstage import changing, uuid_of

VERSION = {"Tus-Resumable": "1.0.0"}
PIECE = {**VERSION, "Content-Type": "application/offset+octet-stream"}
SESSION = """
query ($id: ID!) { uploadSession(id: $id) {
  state receivedBytes size url transport file { name size digest mediaType } problems { code } } }
"""
USAGE = "{ viewer { account { usage { used reserved files } } } }"


def metadata(**pairs: str) -> dict[str, str]:
    return {"Upload-Metadata": ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs.items())}


async def create(client: AsyncClient, asker: Account, size: int | None = None, **headers: str) -> Response:
    length = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
    told = {**asker.headers, **VERSION, **metadata(filename="a.txt"), **length, **headers}
    return await client.post("/uploads", headers=told)


async def created(client: AsyncClient, asker: Account, size: int | None = None, **headers: str) -> str:
    answer = await create(client, asker, size, **headers)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


async def send(client: AsyncClient, asker: Account, url: str, offset: int, data: Any, **headers: str) -> Response:
    told = {**asker.headers, **PIECE, "Upload-Offset": str(offset), **headers}
    return await client.patch(url, content=data, headers=told)


async def head(client: AsyncClient, asker: Account, url: str) -> Response:
    return await client.head(url, headers={**asker.headers, **VERSION})


async def session(client: AsyncClient, asker: Account, url: str) -> Any:
    return (await ask(client, SESSION, asker, id=url.rpartition("/")[2]))["uploadSession"]


@pytest.fixture
async def ada(client: AsyncClient) -> Account:
    return await sign_up(client)


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test asks for both."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
async def test_a_file_comes_in_pieces(client: AsyncClient, ada: Account) -> None:
    url = await created(client, ada, 11)
    assert (await ask(client, USAGE, ada))["viewer"]["account"]["usage"] == {"used": 0, "reserved": 11, "files": 0}
    first = await send(client, ada, url, 0, b"hello ")
    assert (first.status_code, first.headers["upload-offset"]) == (204, "6")
    assert "upload-expires" in first.headers
    asked = await head(client, ada, url)
    assert (asked.status_code, asked.headers["upload-offset"], asked.headers["upload-length"]) == (200, "6", "11")
    assert asked.headers["cache-control"] == "no-store"
    assert asked.headers["upload-metadata"] == metadata(filename="a.txt")["Upload-Metadata"]
    assert (await session(client, ada, url))["state"] == "RECEIVING"
    last = await send(client, ada, url, 6, b"world")
    assert (last.status_code, last.headers["upload-offset"]) == (204, "11")
    found = await session(client, ada, url)
    digest = hashlib.sha256(b"hello world").hexdigest()
    assert found["state"] == "COMMITTED"
    assert found["file"] == {"name": "a.txt", "size": 11, "digest": digest, "mediaType": "text/plain"}
    assert (await ask(client, USAGE, ada))["viewer"]["account"]["usage"] == {"used": 11, "reserved": 0, "files": 1}
    done = await head(client, ada, url)
    assert (done.status_code, done.headers["upload-offset"]) == (200, "11")
    file_id = done.headers["cairn-file"]
    assert (await client.get(f"/files/{file_id}/download", headers=ada.headers)).content == b"hello world"
    assert (await send(client, ada, url, 11, b"")).status_code == 204
    assert (await send(client, ada, url, 11, b"!")).status_code == 410
    assert (await client.delete(url, headers={**ada.headers, **VERSION})).status_code == 410


async def test_what_is_spoken_is_told_to_everybody(client: AsyncClient) -> None:
    answer = await client.options("/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "expiration",
        "checksum",
        "termination",
        "concatenation",
    }
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
    assert int(answer.headers["tus-max-size"]) > 0


async def test_the_first_bytes_may_come_with_the_creation(client: AsyncClient, ada: Account) -> None:
    told = {**ada.headers, **PIECE, **metadata(name="a.txt", type="text/plain"), "Upload-Length": "11"}
    part = await client.post("/uploads", content=b"hello", headers=told)
    assert (part.status_code, part.headers["upload-offset"]) == (201, "5")
    whole = await client.post("/uploads", content=b"hello world", headers=told)
    assert (whole.status_code, whole.headers["upload-offset"]) == (201, "11")
    assert (await session(client, ada, whole.headers["location"]))["state"] == "COMMITTED"


async def test_a_length_can_be_said_later(client: AsyncClient, ada: Account) -> None:
    url = await created(client, ada)
    assert (await head(client, ada, url)).headers["upload-defer-length"] == "1"
    assert (await send(client, ada, url, 0, b"hello ")).status_code == 204
    usage = (await ask(client, USAGE, ada))["viewer"]["account"]["usage"]
    assert usage["reserved"] >= 6
    short = await send(client, ada, url, 6, b"", **{"Upload-Length": "5"})
    assert short.status_code == 400
    done = await send(client, ada, url, 6, b"world", **{"Upload-Length": "11"})
    assert done.status_code == 204
    assert (await ask(client, USAGE, ada))["viewer"]["account"]["usage"] == {"used": 11, "reserved": 0, "files": 1}
    other = await created(client, ada, 5)
    assert (await send(client, ada, other, 0, b"", **{"Upload-Length": "6"})).status_code == 400
    assert (await send(client, ada, other, 0, b"12345", **{"Upload-Length": "5"})).status_code == 204


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_checksum_decides_whether_bytes_have_come(client: AsyncClient, ada: Account, algorithm: str) -> None:
    url = await created(client, ada, 11)
    right, wrong = (b64encode(hashlib.new(algorithm, data).digest()).decode() for data in (b"hello ", b"hellO "))
    refused = await send(client, ada, url, 0, b"hello ", **{"Upload-Checksum": f"{algorithm} {wrong}"})
    assert (refused.status_code, refused.json()["code"]) == (460, "CHECKSUM_MISMATCH")
    assert (await head(client, ada, url)).headers["upload-offset"] == "0"
    taken = await send(client, ada, url, 0, b"hello ", **{"Upload-Checksum": f"{algorithm} {right}"})
    assert (taken.status_code, taken.headers["upload-offset"]) == (204, "6")


async def test_an_upload_can_be_given_up(client: AsyncClient, ada: Account, settings: Settings) -> None:
    url = await created(client, ada, 11)
    await send(client, ada, url, 0, b"hello")
    assert (await client.delete(url, headers={**ada.headers, **VERSION})).status_code == 204
    for method in ("HEAD", "PATCH", "DELETE"):
        answer = await client.request(method, url, headers={**ada.headers, **PIECE, "Upload-Offset": "5"})
        assert answer.status_code == 410
    assert (await ask(client, USAGE, ada))["viewer"]["account"]["usage"] == {"used": 0, "reserved": 0, "files": 0}
    assert [path for path in (settings.data_folder / "incoming").iterdir() if path.is_file()] == []


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
async def test_uploads_can_be_joined(client: AsyncClient, ada: Account) -> None:
    parts = [await created(client, ada, 6, **{"Upload-Concat": "partial"}) for _ in range(2)]
    assert (await head(client, ada, parts[0])).headers["upload-concat"] == "partial"
    for part, data in zip(parts, (b"hello ", b"world!"), strict=True):
        unfinished = await create_final(client, ada, *parts)
        assert unfinished.status_code == 409
        assert (await send(client, ada, part, 0, data)).status_code == 204
    answer = await create_final(client, ada, *parts)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "12")
    found = await session(client, ada, answer.headers["location"])
    assert (found["state"], found["file"]["digest"]) == ("COMMITTED", hashlib.sha256(b"hello world!").hexdigest())
    assert (await ask(client, USAGE, ada))["viewer"]["account"]["usage"] == {"used": 12, "reserved": 0, "files": 1}
    assert (await create_final(client, ada, *parts)).status_code == 410
    ordinary = await created(client, ada, 5)
    assert (await create_final(client, ada, ordinary)).status_code == 400
    assert (await create_final(client, ada, "/uploads/upl_none")).status_code == 404
    unreadable = await create_final(client, ada, "http://[::1/uploads/upl_none")
    assert (unreadable.status_code, unreadable.json()["code"]) == (400, "TUS_INVALID")


async def create_final(client: AsyncClient, asker: Account, *parts: str) -> Response:
    told = {**asker.headers, **VERSION, **metadata(filename="b.txt"), "Upload-Concat": f"final;{' '.join(parts)}"}
    return await client.post("/uploads", headers=told)


async def test_what_the_bytes_are_decides_at_the_end(client: AsyncClient, ada: Account) -> None:
    url = await created(client, ada, 4, **metadata(filename="a.png"))
    answer = await send(client, ada, url, 0, b"%PDF")
    assert (answer.status_code, answer.json()["code"]) == (400, "MEDIA_TYPE_NOT_ALLOWED")
    found = await session(client, ada, url)
    assert (found["state"], found["problems"]) == ("REJECTED", [{"code": "MEDIA_TYPE_NOT_ALLOWED"}])
    told = metadata(filename="a.txt", digest="0" * 64)
    url = await created(client, ada, 4, **told)
    answer = await send(client, ada, url, 0, b"text")
    assert (answer.status_code, answer.json()["code"]) == (400, "DIGEST_MISMATCH")
    assert (await ask(client, USAGE, ada))["viewer"]["account"]["usage"] == {"used": 0, "reserved": 0, "files": 0}


async def test_a_newer_version_comes_by_tus(client: AsyncClient, ada: Account) -> None:
    url = await created(client, ada, 5)
    file_id = (await send(client, ada, url, 0, b"first")).headers["cairn-file"]
    url = await created(client, ada, 6, **metadata(replaces=file_id, filename="other.txt", ifRevision="1"))
    assert (await send(client, ada, url, 0, b"second")).headers["cairn-file"] == file_id
    assert (await session(client, ada, url))["file"]["name"] == "a.txt"
    stale = await create(client, ada, 6, **metadata(replaces=file_id, ifRevision="1"))
    assert (stale.status_code, stale.json()["code"]) == (409, "CONFLICT")
    assert (await create(client, ada, 6, **metadata(replaces=file_id, ifRevision="x"))).status_code == 400


async def test_bytes_of_a_broken_request_are_kept(client: AsyncClient, ada: Account) -> None:
    url = await created(client, ada, 11)

    async def broken() -> AsyncIterator[bytes]:
        yield b"hello "
        raise EOFError

    with pytest.raises(EOFError):
        await send(client, ada, url, 0, broken())
    assert (await head(client, ada, url)).headers["upload-offset"] == "6"
    assert (await send(client, ada, url, 6, b"world")).status_code == 204


async def test_what_came_whole_before_a_process_died_becomes_a_file_when_it_is_asked_for(
    client: AsyncClient, ada: Account, settings: Settings
) -> None:
    url = await created(client, ada, 5)
    await lay(settings, url, b"hello")
    told = await head(client, ada, url)
    assert (told.status_code, told.headers["upload-offset"]) == (200, "5")
    assert "cairn-file" in told.headers
    assert (await session(client, ada, url))["state"] == "COMMITTED"


async def test_a_piece_that_came_whole_before_a_process_died_can_be_joined(
    client: AsyncClient, ada: Account, settings: Settings
) -> None:
    part = await created(client, ada, 5, **{"Upload-Concat": "partial"})
    await lay(settings, part, b"hello")
    assert (await head(client, ada, part)).headers["upload-offset"] == "5"
    answer = await create_final(client, ada, part)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "5")


async def lay(settings: Settings, url: str, data: bytes) -> None:
    """Leave bytes of an upload on the disk, as a process does that dies before it notes them."""
    async with changing(settings.database_url) as tx:
        row = await uploads.lock(tx, uuid_of(url.rpartition("/")[2]))
    assert row is not None
    (settings.data_folder / "incoming" / row.blob_key).write_bytes(data)


async def test_whoever_asks_how_far_it_came_takes_over(client: AsyncClient, ada: Account) -> None:
    url = await created(client, ada, 11)
    is_sent, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"hello "
        is_sent.set()
        await go_on.wait()
        yield b"world"

    first = asyncio.create_task(send(client, ada, url, 0, slow()))
    await is_sent.wait()
    await asyncio.sleep(0.05)
    assert (await send(client, ada, url, 0, b"hello")).status_code in {409, 423}
    assert (await head(client, ada, url)).headers["upload-offset"] == "6"
    go_on.set()
    assert (await first).status_code == 423
    assert (await send(client, ada, url, 6, b"world")).status_code == 204


async def test_an_upload_expires(client: AsyncClient, ada: Account, settings: Settings) -> None:
    url = await created(client, ada, 11)
    async with changing(settings.database_url) as tx:
        this = update(Upload).where(col(Upload.id) == uuid_of(url.rpartition("/")[2]))
        await tx.execute(this.values(state=UploadState.EXPIRED))
    assert (await head(client, ada, url)).status_code == 410


async def test_somebody_elses_upload_is_not_there(client: AsyncClient, ada: Account) -> None:
    eve, url = await sign_up(client, "eve"), await created(client, ada, 11)
    reader = await create_key(client, ada, "files:read")
    writer = await create_key(client, ada, "files:write")
    for asker, status in ((eve, 404), (reader, 403), (writer, 200)):
        assert (await head(client, asker, url)).status_code == status
    assert (await client.head(url, headers=VERSION)).status_code == 401


HOSTILE: list[tuple[str, dict[str, str], int]] = [
    ("POST", {"Tus-Resumable": "0.2.2"}, 412),
    ("POST", {"Tus-Resumable": ""}, 412),
    ("POST", {"Upload-Length": "-1"}, 400),
    ("POST", {"Upload-Length": "1e3"}, 400),
    ("POST", {"Upload-Length": "٣"}, 400),
    ("POST", {"Upload-Length": "9" * 30}, 400),
    ("POST", {"Upload-Length": str(2**63)}, 400),
    ("POST", {"Upload-Length": str(2**62)}, 413),
    ("POST", {"Upload-Length": ""}, 400),
    ("POST", {"Upload-Defer-Length": "1"}, 400),
    ("POST", {"Upload-Metadata": "filename ???"}, 400),
    ("POST", {"Upload-Metadata": "filename YQ==,filename Yg=="}, 400),
    ("POST", {"Upload-Metadata": "filename /w=="}, 400),
    ("POST", {"Upload-Metadata": "filename"}, 400),
    ("POST", {"Upload-Metadata": ""}, 400),
    ("POST", {"Upload-Metadata": ","}, 400),
    ("POST", {"Upload-Metadata": "=,= YQ=="}, 400),
    ("POST", {"Upload-Metadata": "filename " + "A" * 9000}, 400),
    ("POST", {"Upload-Metadata": "other YQ=="}, 400),
    ("POST", metadata(filename="a.exe"), 400),
    ("POST", metadata(filename="a" * 300 + ".txt"), 400),
    ("POST", metadata(filename="a.txt", workspaceId="wsp_x"), 404),
    ("POST", metadata(filename="a.txt", digest="abc"), 400),
    ("POST", metadata(replaces="file_x"), 404),
    ("POST", {"Upload-Concat": "final;"}, 400),
    ("POST", {"Upload-Concat": "final"}, 400),
    ("POST", {"Upload-Concat": "final;/uploads/a"}, 400),
    ("POST", {"Upload-Concat": "finally;/uploads/a"}, 400),
    ("POST", {"Content-Type": "text/plain", "Content-Length": "3"}, 415),
    ("POST", {"X-HTTP-Method-Override": "GET"}, 405),
    ("POST", {"X-HTTP-Method-Override": "PATCH"}, 405),
    ("GET", {}, 405),
    ("PUT", {}, 405),
    ("PATCH", {}, 405),
    ("HEAD", {}, 405),
    ("POST", {"Authorization": "Bearer nonsense"}, 401),
    ("POST", {"Authorization": ""}, 401),
]
HOSTILE_PIECES: list[tuple[str, dict[str, str], int]] = [
    ("PATCH", {"Tus-Resumable": "2"}, 412),
    ("PATCH", {"Content-Type": "application/octet-stream"}, 415),
    ("PATCH", {"Content-Type": "application/offset+octet-stream; charset=utf-8"}, 415),
    ("PATCH", {"Content-Type": ""}, 415),
    ("PATCH", {"Upload-Offset": "1"}, 409),
    ("PATCH", {"Upload-Offset": "-1"}, 400),
    ("PATCH", {"Upload-Offset": ""}, 400),
    ("PATCH", {"Upload-Offset": "0, 0"}, 400),
    ("PATCH", {"Upload-Offset": "99999999999999999999"}, 400),
    ("PATCH", {"Upload-Offset": "12"}, 413),
    ("PATCH", {"Upload-Checksum": "md5 1B2M2Y8AsgTpgAmY7PhCfg=="}, 400),
    ("PATCH", {"Upload-Checksum": "sha1"}, 400),
    ("PATCH", {"Upload-Checksum": "sha1 ???"}, 400),
    ("PATCH", {"Upload-Checksum": "sha256 YQ=="}, 400),
    ("PATCH", {"Upload-Length": "x"}, 400),
    ("PATCH", {"Upload-Length": "12"}, 400),
    ("PATCH", {"Authorization": "Bearer nonsense"}, 401),
    ("PATCH", {"Authorization": ""}, 401),
    ("POST", {}, 405),
    ("PUT", {}, 405),
    ("GET", {}, 405),
    ("OPTIONS", {}, 204),
    ("POST", {"X-HTTP-Method-Override": "PURGE"}, 405),
    ("POST", {"X-HTTP-Method-Override": "HEAD"}, 200),
]


async def test_hostile_creations_are_refused_as_the_protocol_says(client: AsyncClient, ada: Account) -> None:
    usual = {**ada.headers, **VERSION, **metadata(filename="a.txt"), "Upload-Length": "11"}
    for method, headers, status in HOSTILE:
        told = {**usual, **headers}
        told = {name: value.encode() for name, value in told.items() if value or name != "Authorization"}  # type: ignore[misc]
        answer = await client.request(
            method, "/uploads", headers=told, content=b"abc" if "Content-Type" in headers else b""
        )
        assert answer.status_code == status, (method, headers, answer.text)
        assert answer.headers["tus-resumable"] == "1.0.0"
        if status == 412:
            assert answer.headers["tus-version"] == "1.0.0"
    listed = await ask(client, "{ uploadSessions { totalCount } }", ada)
    assert listed == {"uploadSessions": {"totalCount": 0}}


async def test_hostile_pieces_are_refused_as_the_protocol_says(client: AsyncClient, ada: Account) -> None:
    url = await created(client, ada, 11)
    usual = {**ada.headers, **PIECE, "Upload-Offset": "0"}
    for method, headers, status in HOSTILE_PIECES:
        told = {**usual, **headers}
        told = {name: value for name, value in told.items() if value or name != "Authorization"}
        answer = await client.request(method, url, headers=told, content=b"hello world!" if method == "PUT" else b"")
        assert answer.status_code == status, (method, headers, answer.text)
    assert (await send(client, ada, url, 0, b"hello world!")).status_code == 413
    for wrong in ("upl_" + "0" * 32, "file_" + "0" * 32, "upl_x", "%00", "a" * 500):
        assert (await send(client, ada, f"/uploads/{wrong}", 0, b"")).status_code == 404
    found = await session(client, ada, url)
    assert (found["state"], found["receivedBytes"]) == ("OPEN", 0)
