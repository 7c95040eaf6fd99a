"""What is told while it happens, as its readers get it."""

import asyncio
from typing import Any

import pytest
from httpx2 import AsyncClient
from uuid_utils.compat import uuid7

from domain.topics import of_files
from schema.ids import Prefix, decode, encode
from tests.asking import Account, ask, personal_workspace, sign_up, upload, uploaded
from tests.machine import comes_true
from tests.streaming import bus_of, streaming

PROGRESS = "subscription ($id: ID!) { uploadProgress(id: $id) { id state receivedBytes size file { name } } }"
CHANGES = """
subscription ($workspaceId: ID) {
  fileChanged(workspaceId: $workspaceId) { kind fileId happenedAt file { name revision } actor { username } }
}
"""
RENAME = "mutation ($input: RenameFileInput!) { renameFile(input: $input) { problems { message } } }"
PURGE = "mutation ($input: PurgeFilesInput!) { purgeFiles(input: $input) { problems { message } } }"
UPLOAD_SESSION = "query ($id: ID!) { uploadSession(id: $id) { state transport url file { name } problems { code } } }"


def new_id() -> str:
    return encode(Prefix.UPLOAD, uuid7())


async def listens_to_files(client: AsyncClient, asker: Account) -> bool:
    topic = of_files(decode(Prefix.WORKSPACE, await personal_workspace(client, asker)))
    return await comes_true(lambda: topic in bus_of(client)._listeners)


async def test_changes_of_files_are_told_with_the_file_as_it_is_then(client: AsyncClient) -> None:
    ada = await sign_up(client)
    async with streaming(client, CHANGES, ada.headers) as stream:
        assert stream.status == 200
        assert await listens_to_files(client, ada)
        file = await uploaded(client, ada)
        first = (await stream.next())["data"]["fileChanged"]
        await ask(client, RENAME, ada, input={"id": file["id"], "name": "other.txt"})
        second = (await stream.next())["data"]["fileChanged"]
        await ask(client, PURGE, ada, input={"ids": [file["id"]]})
        third = (await stream.next())["data"]["fileChanged"]
    assert [told["kind"] for told in (first, second, third)] == ["FILE_UPLOADED", "FILE_RENAMED", "FILE_PURGED"]
    assert [told["file"] for told in (first, second, third)] == [
        {"name": "notes.txt", "revision": 1},
        {"name": "other.txt", "revision": 2},
        None,
    ]
    assert {told["fileId"] for told in (first, second, third)} == {file["id"]}
    assert first["actor"] == {"username": "ada"}
    assert bus_of(client)._listeners.keys() <= {"jobs"}


async def test_an_upload_of_one_request_is_watched_under_an_id_of_the_clients_choosing(client: AsyncClient) -> None:
    ada, chosen = await sign_up(client), new_id()
    async with streaming(client, PROGRESS, ada.headers, id=chosen) as stream:
        assert (await stream.next())["data"] == {"uploadProgress": None}
        file = await uploaded(client, ada, uploadId=chosen)
        told = []
        while (answer := await stream.next()) is not None:
            told.append(answer["data"]["uploadProgress"])
        assert stream.is_complete
    last = {"id": chosen, "state": "COMMITTED", "receivedBytes": 12, "size": 12, "file": {"name": file["name"]}}
    assert told[-1] == last
    found = (await ask(client, UPLOAD_SESSION, ada, id=chosen))["uploadSession"]
    assert found == {
        "state": "COMMITTED",
        "transport": "MULTIPART",
        "url": None,
        "file": {"name": "notes.txt"},
        "problems": [],
    }


async def test_why_a_watched_upload_was_rejected_is_told_by_its_session_too(client: AsyncClient) -> None:
    ada, chosen = await sign_up(client), new_id()
    payload = await upload(client, ada, "a.png", uploadId=chosen)
    assert [problem["code"] for problem in payload["problems"]] == ["MEDIA_TYPE_NOT_ALLOWED"]
    found = (await ask(client, UPLOAD_SESSION, ada, id=chosen))["uploadSession"]
    assert (found["state"], found["problems"]) == ("REJECTED", [{"code": "MEDIA_TYPE_NOT_ALLOWED"}])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("chosen", ["", "mine", "file_" + "0" * 32, "upl_" + "0" * 32, "upl_" + "G" * 32])
async def test_an_id_that_is_none_is_refused_before_a_byte(client: AsyncClient, chosen: str) -> None:
    ada = await sign_up(client)
    [problem] = (await upload(client, ada, uploadId=chosen))["problems"]
    assert (problem["code"], problem["path"]) == ("BAD_USER_INPUT", ["uploadId"])


async def test_an_id_is_good_for_one_upload(client: AsyncClient) -> None:
    ada, bob, chosen = await sign_up(client), await sign_up(client, "bob"), new_id()
    await uploaded(client, ada, uploadId=chosen)
    for asker in (ada, bob):
        [problem] = (await upload(client, asker, uploadId=chosen))["problems"]
        assert (problem["code"], problem["path"]) == ("BAD_USER_INPUT", ["uploadId"])


async def test_all_who_watch_are_told(client: AsyncClient) -> None:
    ada = await sign_up(client)
    async with streaming(client, CHANGES, ada.headers) as one, streaming(client, CHANGES, ada.headers) as other:
        assert await listens_to_files(client, ada)
        await uploaded(client, ada)
        answers: list[Any] = list(await asyncio.gather(one.next(), other.next()))
    assert answers[0] == answers[1]


async def test_a_stream_ends_with_the_session_it_was_opened_by(client: AsyncClient) -> None:
    ada = await sign_up(client)
    async with streaming(client, CHANGES, ada.headers) as stream:
        assert await listens_to_files(client, ada)
        await ask(client, "mutation { logout { problems { code } } }", ada)
        answer = await stream.next()
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]
        assert await stream.next() is None
        assert stream.is_complete
