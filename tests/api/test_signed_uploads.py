"""Bytes by PUT to signed URLs: all at once, and in parts."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import delete
from sqlmodel import col

from api.settings import Settings
from db.models import Member, WorkspaceRole
from tests.asking import Account, ask, personal_workspace, sign_up, uploaded
from tests.backstage import changing, join, uuid_of
from tests.storage.blobs import BYTES, MIB

CREATE = """
mutation ($input: CreateUploadInput!) { createUpload(input: $input) {
  uploadSession { id state transport url partSize partCount size receivedBytes workspace { id } }
  problems { code path ... on QuotaExceeded { scope limit used reserved requested } }
} }
"""
PARTS = (
    "query ($id: ID!, $numbers: [Int!]!) { uploadSession(id: $id) { uploadPartUrls(numbers: $numbers) { url size } } }"
)
TEXT = BYTES.hex().encode()
COMPLETE = """
mutation ($id: ID!) { completeUpload(input: { id: $id }) {
  uploadSession { state receivedBytes url } file { name size digest revision }
  problems { code ... on UploadIncomplete { received size } ... on UploadEnded { state } } } }
"""
ABORT = "mutation ($id: ID!) { abortUpload(input: { id: $id }) { uploadSession { state } problems { code } } }"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"part_bytes": MIB, "maximum_open_uploads": 3, "workspace_quota_bytes": 50 * MIB})


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test asks for both."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
async def ada(client: AsyncClient) -> Account:
    return await sign_up(client)


async def create(client: AsyncClient, asker: Account, size: int | None = 11, **given: Any) -> Any:
    told = {"name": "a.txt", "size": size, **given}
    return (await ask(client, CREATE, asker, input=told))["createUpload"]


async def announced(client: AsyncClient, asker: Account, size: int = 11, **given: Any) -> Any:
    payload = await create(client, asker, size, **given)
    assert payload["problems"] == []
    return payload["uploadSession"]


async def complete(client: AsyncClient, asker: Account, upload_id: str) -> Any:
    return (await ask(client, COMPLETE, asker, id=upload_id))["completeUpload"]


async def part_urls(client: AsyncClient, asker: Account, upload_id: str, *numbers: int) -> list[str]:
    found = await ask(client, PARTS, asker, id=upload_id, numbers=numbers)
    return [each["url"] for each in found["uploadSession"]["uploadPartUrls"]]


@both
async def test_a_file_comes_by_one_put(client: AsyncClient, ada: Account) -> None:
    upload = await announced(client, ada)
    assert (upload["state"], upload["transport"], upload["partSize"], upload["partCount"]) == (
        "OPEN",
        "SINGLE_PUT",
        None,
        None,
    )
    early = await complete(client, ada, upload["id"])
    assert early["problems"] == [{"code": "UPLOAD_INCOMPLETE", "received": 0, "size": 11}]
    assert (await client.put(upload["url"], content=b"hello world")).status_code == 204
    again = await client.put(upload["url"], content=b"hello world")
    assert (again.status_code, again.json()["code"]) == (409, "TARGET_USED")
    for _ in range(2):
        done = await complete(client, ada, upload["id"])
        assert done["problems"] == []
        assert done["uploadSession"] == {"state": "COMMITTED", "receivedBytes": 11, "url": None}
        digest = hashlib.sha256(b"hello world").hexdigest()
        assert done["file"] == {"name": "a.txt", "size": 11, "digest": digest, "revision": 1}
    assert (await client.put(upload["url"], content=b"hello world")).status_code == 409
    aborted = (await ask(client, ABORT, ada, id=upload["id"]))["abortUpload"]
    assert aborted["problems"] == [{"code": "UPLOAD_ENDED"}]


@both
async def test_a_file_comes_in_parts(client: AsyncClient, ada: Account) -> None:
    upload = await announced(client, ada, 3 * MIB + 5, transport="PARTS")
    assert (upload["partSize"], upload["partCount"], upload["url"]) == (MIB, 4, None)
    urls = await part_urls(client, ada, upload["id"], 1, 2, 3, 4)
    pieces = [TEXT[at : min(at + MIB, 3 * MIB + 5)] for at in range(0, 3 * MIB + 5, MIB)]
    short = await client.put(urls[3], content=b"1234")
    assert (short.status_code, short.json()["code"]) == (409, "UPLOAD_INCOMPLETE")
    long = await client.put(urls[3], content=b"123456")
    assert (long.status_code, long.json()["code"]) == (413, "UPLOAD_TOO_LONG")
    sending = [client.put(url, content=piece) for url, piece in zip(urls[1:], pieces[1:], strict=True)]
    assert [answer.status_code for answer in await asyncio.gather(*sending)] == [204] * 3
    assert (await complete(client, ada, upload["id"]))["problems"][0]["code"] == "UPLOAD_INCOMPLETE"
    assert (await client.put(urls[0], content=pieces[0])).status_code == 204
    assert (await client.put(urls[0], content=pieces[0])).json()["code"] == "TARGET_USED"
    done = await complete(client, ada, upload["id"])
    assert done["file"]["digest"] == hashlib.sha256(TEXT[: 3 * MIB + 5]).hexdigest()


async def test_what_does_not_come_whole_can_be_sent_anew(client: AsyncClient, ada: Account) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"hellO"
        raise EOFError

    async def short() -> AsyncIterator[bytes]:
        yield b"hellO"

    async def long() -> AsyncIterator[bytes]:
        yield b"hellO worlD"
        yield b"!"

    upload = await announced(client, ada)
    with pytest.raises(EOFError):
        await client.put(upload["url"], content=broken())
    assert (await client.put(upload["url"], content=short())).status_code == 409
    assert (await client.put(upload["url"], content=long())).status_code == 413
    assert (await client.put(upload["url"], content=b"hello world")).status_code == 204
    assert (await complete(client, ada, upload["id"]))["file"]["digest"] == hashlib.sha256(b"hello world").hexdigest()


async def test_a_signed_url_is_good_for_one_thing(client: AsyncClient, ada: Account, settings: Settings) -> None:
    first, second = await announced(client, ada), await announced(client, ada)
    signed = first["url"].partition("?")[2]
    for url, status in (
        (f"/uploads/{second['id']}/content?{signed}", 401),
        (f"/uploads/{first['id']}/parts/1?{signed}", 401),
        (f"/uploads/{first['id']}/parts/0?{signed}", 401),
        (f"/uploads/{first['id']}/content", 401),
        (first["url"] + "x", 401),
        (first["url"] + "&expires=9", 400),
        (first["url"].replace("expires=1", "expires=2"), 401),
        (first["url"].replace("expires=", "expires=x"), 401),
    ):
        assert (await client.put(url, content=b"hello world")).status_code == status, url
    assert (await client.get(first["url"])).status_code == 405
    workspace = uuid_of(await personal_workspace(client, ada))
    async with changing(settings.database_url) as tx:
        await tx.execute(delete(Member).where(col(Member.workspace_id) == workspace))
    assert (await client.put(first["url"], content=b"hello world")).status_code == 404


async def test_a_right_that_is_lost_is_lost_for_what_is_under_way(
    client: AsyncClient, ada: Account, settings: Settings
) -> None:
    made = await ask(client, 'mutation { createWorkspace(input: { name: "Crew" }) { workspace { id } } }', ada)
    place, eve = made["createWorkspace"]["workspace"]["id"], await sign_up(client, "eve")
    await join(settings.database_url, eve, place, WorkspaceRole.EDITOR)
    upload = await announced(client, eve, workspaceId=place)
    assert upload["workspace"] == {"id": place}
    change = "mutation ($input: UpdateMemberInput!) { updateMember(input: $input) { problems { code } } }"
    await ask(client, change, ada, input={"workspaceId": place, "userId": eve.id, "role": "VIEWER"})
    assert (await client.put(upload["url"], content=b"hello world")).status_code == 403
    assert (await complete(client, eve, upload["id"]))["problems"][0]["code"] == "FORBIDDEN"
    assert (await ask(client, ABORT, eve, id=upload["id"]))["abortUpload"]["uploadSession"] == {"state": "ABORTED"}
    assert (await ask(client, ABORT, eve, id=upload["id"]))["abortUpload"]["problems"] == []
    own = await announced(client, eve)
    await ask(client, ABORT, eve, id=own["id"])
    assert (await complete(client, eve, own["id"]))["problems"] == [{"code": "UPLOAD_ENDED", "state": "ABORTED"}]
    gone = "mutation ($id: ID!) { deleteWorkspace(input: { id: $id }) { problems { code } } }"
    assert (await ask(client, gone, ada, id=place))["deleteWorkspace"]["problems"] == []


async def test_what_is_announced_is_judged(client: AsyncClient, ada: Account) -> None:
    for given, code in (
        ({"name": "a.exe"}, "EXTENSION_NOT_ALLOWED"),
        ({"name": None}, "BAD_USER_INPUT"),
        ({"size": 2**50}, "FILE_TOO_LARGE"),
        ({"size": None, "transport": "PARTS"}, "BAD_USER_INPUT"),
        ({"size": None, "transport": "SINGLE_PUT"}, "BAD_USER_INPUT"),
        ({"digest": "x"}, "BAD_USER_INPUT"),
        ({"workspaceId": "wsp_x"}, "NOT_FOUND"),
        ({"replaces": "file_x", "name": None}, "NOT_FOUND"),
        ({"size": 50 * MIB + 1}, "QUOTA_EXCEEDED"),
    ):
        assert [problem["code"] for problem in (await create(client, ada, **given))["problems"]] == [code], given
    for _ in range(3):
        await announced(client, ada, 16 * MIB)
    assert (await create(client, ada))["problems"][0]["code"] == "TOO_MANY_UPLOADS"
    [listed] = (await ask(client, "{ uploadSessions { nodes { transport } totalCount } }", ada)).values()
    assert listed["totalCount"] == 3


async def test_what_is_held_back_is_not_for_others(client: AsyncClient, ada: Account) -> None:
    await announced(client, ada, 49 * MIB)
    refused = await create(client, ada, 2 * MIB)
    assert refused["problems"] == [
        {
            "code": "QUOTA_EXCEEDED",
            "path": ["file"],
            "scope": "WORKSPACE",
            "limit": 50 * MIB,
            "used": 0,
            "reserved": 49 * MIB,
            "requested": 2 * MIB,
        }
    ]


async def test_uploads_are_found_by_where_they_go_and_how_they_stand(client: AsyncClient, ada: Account) -> None:
    first, _ = await announced(client, ada), await announced(client, ada)
    await ask(client, ABORT, ada, id=first["id"])
    query = "query ($where: UploadSessionWhere) { uploadSessions(where: $where) { totalCount nodes { id } } }"
    place = await personal_workspace(client, ada)
    for where, number in (
        ({"states": ["ABORTED"]}, 1),
        ({"workspaceId": place}, 2),
        ({"workspaceId": place, "states": ["OPEN", "COMMITTED"]}, 1),
        ({"workspaceId": "wsp_x"}, 0),
    ):
        assert (await ask(client, query, ada, where=where))["uploadSessions"]["totalCount"] == number


async def test_parts_are_asked_for_by_their_numbers(client: AsyncClient, ada: Account) -> None:
    upload, single = await announced(client, ada, 2 * MIB, transport="PARTS"), await announced(client, ada)
    for upload_id, numbers in (
        (upload["id"], [0]),
        (upload["id"], [3]),
        (upload["id"], [1] * 101),
        (single["id"], [1]),
    ):
        answer = await client.post(
            "/graphql", json={"query": PARTS, "variables": {"id": upload_id, "numbers": numbers}}, headers=ada.headers
        )
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    [url] = await part_urls(client, ada, upload["id"], 1)
    await ask(client, ABORT, ada, id=upload["id"])
    assert (await client.put(url, content=b"x" * MIB)).json()["code"] == "UPLOAD_ENDED"


async def test_a_file_gets_another_version(client: AsyncClient, ada: Account) -> None:
    file = await uploaded(client, ada, "notes.txt")
    upload = await announced(client, ada, replaces=file["id"], ifRevision=1, name=None)
    await client.put(upload["url"], content=b"hello world")
    done = await complete(client, ada, upload["id"])
    assert (done["file"]["name"], done["file"]["revision"]) == ("notes.txt", 2)
    named = await create(client, ada, replaces=file["id"], name="other.txt")
    assert named["problems"][0] == {"code": "BAD_USER_INPUT", "path": ["name"]}
    stale = await create(client, ada, replaces=file["id"], ifRevision=1, name=None)
    assert stale["problems"][0]["code"] == "CONFLICT"
    early = await announced(client, ada, replaces=file["id"], ifRevision=2, name=None)
    await client.put(early["url"], content=b"hello world")
    again = await uploaded(client, ada, "x.txt", b"newer", replaces=file["id"], ifRevision=2)
    assert (again["id"], again["name"]) == (file["id"], "notes.txt")
    assert (await complete(client, ada, early["id"]))["problems"][0]["code"] == "CONFLICT"
