"""Versions of files through the front door: listed, found by id, downloaded and restored."""

import asyncio
from base64 import urlsafe_b64encode
from hashlib import sha256
from itertools import pairwise
from typing import Any

import orjson
import pytest
from httpx2 import AsyncClient
from sqlalchemy import update
from sqlmodel import col

from api.settings import Settings
from db.models import File, FileStatus, WorkspaceRole
from tests.asking import Account, ask, personal_workspace, post, sign_up, uploaded
from tests.backstage import changing, counted, join, uuid_of

VERSIONS = """query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { file(id: $id) {
  versions(first: $first, after: $after, last: $last, before: $before) {
    totalCount nodes { number } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
} }"""
WHOLE = """query ($id: ID!) { file(id: $id) { version { id } versions { nodes {
  id number current size mediaType declaredMediaType digest createdAt uploadedBy { username } downloadUrl
} } } }"""
RESTORE = """mutation ($input: RestoreVersionInput!) { restoreVersion(input: $input) {
  file { revision digest version { number } } problems { code path ... on Conflict { revision } }
} }"""
NODE = "query ($id: ID!) { node(id: $id) { id ... on Version { number digest uploadedBy { username } } } }"


async def with_versions(client: AsyncClient, owner: Account, *contents: bytes, **given: Any) -> str:
    """The id of a file that had these contents one after the other."""
    first, *others = contents
    file = await uploaded(client, owner, content=first, **given)
    for content in others:
        await uploaded(client, owner, content=content, replaces=file["id"])
    found: str = file["id"]
    return found


async def versions_of(client: AsyncClient, owner: Account, file_id: str) -> list[dict[str, Any]]:
    """All that is told of a file's versions."""
    found: list[dict[str, Any]] = (await ask(client, WHOLE, owner, id=file_id))["file"]["versions"]["nodes"]
    return found


async def page(client: AsyncClient, owner: Account, file_id: str, **arguments: Any) -> Any:
    return (await ask(client, VERSIONS, owner, id=file_id, **arguments))["file"]["versions"]


def numbers(found: Any) -> list[int]:
    return [node["number"] for node in found["nodes"]]


async def test_a_file_lists_its_contents_the_newest_first_and_each_can_be_had(client: AsyncClient) -> None:
    ada = await sign_up(client)
    contents = [b"one\n", b"two, longer\n", b"three\n"]
    file_id = await with_versions(client, ada, *contents)
    found = await versions_of(client, ada, file_id)
    assert [(node["number"], node["current"]) for node in found] == [(3, True), (2, False), (1, False)]
    for node, content in zip(found, reversed(contents), strict=True):
        assert (node["size"], node["digest"]) == (len(content), sha256(content).hexdigest())
        assert (node["mediaType"], node["declaredMediaType"]) == ("text/plain", "text/plain")
        assert node["uploadedBy"] == {"username": "ada"}
        answer = await client.get(node["downloadUrl"])
        assert (answer.status_code, answer.content) == (200, content)
    assert (await ask(client, WHOLE, ada, id=file_id))["file"]["version"]["id"] == found[0]["id"]


async def test_pages_of_versions_cover_each_once_in_both_directions_while_more_come(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file_id = await with_versions(client, ada, *(b"%d\n" % number for number in range(5)))
    first = await page(client, ada, file_id, first=2)
    assert (numbers(first), first["totalCount"], first["pageInfo"]["hasNextPage"]) == ([5, 4], 5, True)
    await uploaded(client, ada, content=b"newest\n", replaces=file_id)
    second = await page(client, ada, file_id, first=5, after=first["pageInfo"]["endCursor"])
    assert (numbers(second), second["pageInfo"]["hasNextPage"]) == ([3, 2, 1], False)
    backward = await page(client, ada, file_id, last=2)
    assert (numbers(backward), backward["pageInfo"]["hasPreviousPage"]) == ([2, 1], True)
    before = await page(client, ada, file_id, last=3, before=backward["pageInfo"]["startCursor"])
    assert numbers(before) == [5, 4, 3]


@pytest.mark.parametrize("number", [2**31, 2**70, 0, -1, True, "1", None])
async def test_a_cursor_that_no_version_has_is_refused(client: AsyncClient, number: object) -> None:
    ada = await sign_up(client)
    file_id = await with_versions(client, ada, b"one\n")
    try:
        fields = orjson.dumps(["NUMBER", number, "0" * 32])
    except TypeError:
        fields = b'["NUMBER", 1180591620717411303424, "00000000000000000000000000000000"]'
    cursor = urlsafe_b64encode(fields).decode()
    body = (await post(client, VERSIONS, ada, id=file_id, after=cursor)).json()
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_USER_INPUT"]


async def test_a_version_is_found_by_its_id_and_only_by_members(client: AsyncClient, settings: Settings) -> None:
    ada, eve, vera = await sign_up(client), await sign_up(client, "eve"), await sign_up(client, "vera")
    await join(settings.database_url, vera, await personal_workspace(client, ada), WorkspaceRole.VIEWER)
    file_id = await with_versions(client, ada, b"old\n", b"new\n")
    [_, old] = await versions_of(client, ada, file_id)
    for member in (ada, vera):
        node = (await ask(client, NODE, member, id=old["id"]))["node"]
        assert (node["id"], node["number"], node["digest"]) == (old["id"], 1, sha256(b"old\n").hexdigest())
    for other in (eve, None):
        assert await ask(client, NODE, other, id=old["id"]) == {"node": None}
    assert await ask(client, NODE, ada, id=file_id.replace("file_", "ver_")) == {"node": None}


async def test_who_brought_a_version_is_told_as_long_as_the_account_lasts(
    client: AsyncClient, settings: Settings
) -> None:
    ada, edith = await sign_up(client), await sign_up(client, "edith")
    await join(settings.database_url, edith, await personal_workspace(client, ada), WorkspaceRole.EDITOR)
    file_id = await with_versions(client, ada, b"hers\n")
    await uploaded(client, edith, content=b"edith's\n", replaces=file_id)
    people = [node["uploadedBy"] for node in await versions_of(client, ada, file_id)]
    assert people == [{"username": "edith"}, {"username": "ada"}]
    leave = 'mutation { deleteAccount(input: { password: "a quiet harbour at dusk" }) { problems { code } } }'
    assert (await ask(client, leave, edith))["deleteAccount"]["problems"] == []
    people = [node["uploadedBy"] for node in await versions_of(client, ada, file_id)]
    assert people == [None, {"username": "ada"}]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_version_of_a_file_that_is_kept_back_has_no_url(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    file_id = await with_versions(client, ada, b"old\n", b"new\n")
    async with changing(settings.database_url) as tx:
        kept_back = update(File).where(col(File.id) == uuid_of(file_id))
        await tx.execute(kept_back.values(status=FileStatus.QUARANTINED))
    assert [node["downloadUrl"] for node in await versions_of(client, ada, file_id)] == [None, None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_file_that_was_purged_has_no_versions_in_the_answer(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file_id = await with_versions(client, ada, b"old\n", b"new\n")
    purge = """mutation ($id: ID!) { purgeFiles(input: { ids: [$id] }) {
      results { file { version { number } versions { totalCount nodes { number } } } } } }"""
    [result] = (await ask(client, purge, ada, id=file_id))["purgeFiles"]["results"]
    assert result["file"] == {"version": {"number": 2}, "versions": {"totalCount": 0, "nodes": []}}


async def test_the_number_of_statements_does_not_grow_with_files_or_versions(client: AsyncClient) -> None:
    ada = await sign_up(client)
    query = """{ files { nodes { versions(first: 2) {
      totalCount nodes { number current downloadUrl uploadedBy { username } }
    } } } }"""
    counts = {}
    for _ in range(2):
        for _ in range(3):
            await with_versions(client, ada, b"old\n", b"new\n", b"newer\n")
        with counted() as statements:
            files = (await ask(client, query, ada))["files"]["nodes"]
        assert all(numbers(file["versions"]) == [3, 2] and file["versions"]["totalCount"] == 3 for file in files)
        counts[len(files)] = len(statements)
    assert counts[3] == counts[6]


async def restore(client: AsyncClient, asker: Account, file_id: str, version_id: str, **given: Any) -> Any:
    """The payload of a restoration."""
    said = {"id": file_id, "versionId": version_id, **given}
    return (await ask(client, RESTORE, asker, input=said))["restoreVersion"]


async def test_an_older_content_is_the_newest_again_and_nothing_in_between_is_lost(
    client: AsyncClient, settings: Settings
) -> None:
    ada, edith = await sign_up(client), await sign_up(client, "edith")
    await join(settings.database_url, edith, await personal_workspace(client, ada), WorkspaceRole.EDITOR)
    file_id = await with_versions(client, ada, b"old\n", b"newer\n")
    [_, old] = await versions_of(client, ada, file_id)
    payload = await restore(client, edith, file_id, old["id"], ifRevision=2)
    assert payload["problems"] == []
    assert (payload["file"]["revision"], payload["file"]["digest"]) == (3, old["digest"])
    assert payload["file"]["version"]["number"] == 3
    found = await versions_of(client, ada, file_id)
    assert [(node["number"], node["current"], node["size"]) for node in found] == [
        (3, True, 4),
        (2, False, 6),
        (1, False, 4),
    ]
    assert [node["uploadedBy"]["username"] for node in found] == ["edith", "ada", "ada"]
    current = await client.get(f"/files/{file_id}/download", headers=ada.headers)
    assert [current.content, *[(await client.get(node["downloadUrl"])).content for node in found]] == [
        b"old\n",
        b"old\n",
        b"newer\n",
        b"old\n",
    ]
    usage = await ask(client, "{ viewer { account { personalWorkspace { usage { used files } } } } }", ada)
    assert usage["viewer"]["account"]["personalWorkspace"]["usage"] == {"used": 14, "files": 1}
    activity = "{ viewer { account { activity(first: 1) { nodes { kind data } } } } }"
    [told] = (await ask(client, activity, edith))["viewer"]["account"]["activity"]["nodes"]
    assert told == {"kind": "FILE_RESTORED", "data": {"versionId": found[0]["id"], "number": "3", "from": "1"}}


async def test_restoring_what_is_there_already_changes_nothing(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file_id = await with_versions(client, ada, b"old\n", b"newer\n")
    [current, old] = await versions_of(client, ada, file_id)
    for version_id, revision in ((current["id"], 2), (old["id"], 3), (old["id"], 3)):
        payload = await restore(client, ada, file_id, version_id)
        assert (payload["problems"], payload["file"]["revision"]) == ([], revision)
    assert len(await versions_of(client, ada, file_id)) == 3


async def test_a_stale_restoration_is_a_conflict_and_one_of_something_else_finds_nothing(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file_id = await with_versions(client, ada, b"old\n", b"newer\n")
    other_id = await with_versions(client, ada, b"other\n")
    [_, old] = await versions_of(client, ada, file_id)
    [other] = await versions_of(client, ada, other_id)
    stale = await restore(client, ada, file_id, old["id"], ifRevision=1)
    assert stale == {"file": None, "problems": [{"code": "CONFLICT", "path": ["ifRevision"], "revision": 2}]}
    for version_id in (other["id"], "ver_" + "0" * 32, file_id):
        payload = await restore(client, ada, file_id, version_id)
        assert payload["problems"] == [{"code": "NOT_FOUND", "path": ["versionId"]}]
    assert len(await versions_of(client, ada, file_id)) == 2


async def test_of_many_restorations_at_once_each_sees_the_one_before(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file_id = await with_versions(client, ada, b"old\n", b"newer\n")
    [newer, old] = await versions_of(client, ada, file_id)
    await asyncio.gather(*(restore(client, ada, file_id, each["id"]) for each in (old, newer) * 5))
    found = await versions_of(client, ada, file_id)
    assert [node["number"] for node in found] == list(range(len(found), 0, -1))
    assert [node["current"] for node in found] == [True, *[False] * (len(found) - 1)]
    assert all(one["digest"] != other["digest"] for one, other in pairwise(found))
