"""The same request under the same key, sent again or at once, through the front door."""

import asyncio
import json
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import func, select, update
from sqlmodel import SQLModel, col

from api.settings import Settings
from db.engine import Database
from db.models import ApiKey, File, IdempotencyKey, Invitation, Job, Member, Upload, Version, Workspace, WorkspaceRole
from tests.asking import Account, ask, create_key, personal_workspace, sign_up, upload, uploaded
from tests.backstage import changing, join, stored, uuid_of

WORKSPACE = """mutation ($input: CreateWorkspaceInput!) { createWorkspace(input: $input) {
  made: workspace { id name viewerRole } problems { __typename code path }
} }"""
KEY = """mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  made: apiKey { id name } secret problems { __typename code path }
} }"""
INVITE = """mutation ($input: InviteMemberInput!) { inviteMember(input: $input) {
  made: invitation { id email } problems { __typename code path }
} }"""
ANNOUNCE = """mutation ($input: CreateUploadInput!) { createUpload(input: $input) {
  made: uploadSession { id name url } problems { __typename code path }
} }"""
UPLOADS = """mutation ($files: [UploadFileInput!]!) { uploadFiles(input: { files: $files }) {
  results { file { id } problems { code path } } problems { code }
} }"""
REUSED = [{"__typename": "IdempotencyKeyReused", "code": "IDEMPOTENCY_KEY_REUSED", "path": ["idempotencyKey"]}]


async def inputs_of(client: AsyncClient, owner: Account) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """For each mutation that makes something an input, and what makes it another."""
    team = (await ask(client, WORKSPACE, owner, input={"name": "Team"}))["createWorkspace"]["made"]["id"]
    return {
        WORKSPACE: ({"name": "Crew"}, {"name": "Band"}),
        KEY: ({"name": "CI", "scopes": ["files:read"]}, {"scopes": ["files:write"]}),
        INVITE: ({"workspaceId": team, "email": "ida@example.org", "role": "VIEWER"}, {"role": "EDITOR"}),
        ANNOUNCE: ({"name": "a.txt", "size": 5, "transport": "SINGLE_PUT"}, {"size": 6}),
    }


async def made(client: AsyncClient, query: str, asker: Account, **given: Any) -> Any:
    """The payload of a mutation."""
    [payload] = (await ask(client, query, asker, input=given)).values()
    return payload


async def count(settings: Settings, *tables: type[SQLModel]) -> list[int]:
    database = Database(settings.database_url)
    async with database.reading() as rows:
        counts = [int(await rows.scalar(select(func.count()).select_from(table))) for table in tables]
    await database.close()
    return counts


async def test_the_same_request_makes_one_thing_and_another_under_its_key_is_refused(
    client: AsyncClient, settings: Settings
) -> None:
    ada = await sign_up(client)
    for query, (given, other) in (await inputs_of(client, ada)).items():
        key = f"key-{len(query)}"
        first = await made(client, query, ada, **given, idempotencyKey=key)
        assert first["problems"] == []
        again = await made(client, query, ada, **given, idempotencyKey=key)
        assert (again["made"]["id"], again["problems"]) == (first["made"]["id"], [])
        refused = await made(client, query, ada, **(given | other), idempotencyKey=key)
        assert (refused["made"], refused["problems"]) == (None, REUSED)
        free = await made(client, query, ada, **given, idempotencyKey=f"{key}!")
        assert free["made"]["id"] != first["made"]["id"]
    assert await count(settings, ApiKey, Upload, IdempotencyKey) == [2, 2, 8]
    # The personal one, the team, and two: of invitations the newest to an email stands, and each sent one mail.
    assert await count(settings, Workspace, Invitation, Job) == [4, 1, 3]


async def test_of_many_at_once_one_makes_it_and_all_are_answered(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    for query, (given, _) in (await inputs_of(client, ada)).items():
        answers = await asyncio.gather(*(made(client, query, ada, **given, idempotencyKey="once") for _ in range(8)))
        assert [answer["problems"] for answer in answers] == [[]] * 8
        assert len({answer["made"]["id"] for answer in answers}) == 1
        async with changing(settings.database_url) as tx:
            await tx.execute(
                update(IdempotencyKey).values(key=f"of {len(query)}").where(col(IdempotencyKey.key) == "once")
            )
    assert await count(settings, ApiKey, Upload, Invitation, Workspace) == [1, 1, 1, 3]


async def test_the_secret_of_a_key_is_told_once(client: AsyncClient) -> None:
    ada = await sign_up(client)
    given = {"name": "CI", "scopes": ["files:read"], "idempotencyKey": "k"}
    answers = [await made(client, KEY, ada, **given) for _ in range(2)]
    assert [answer["secret"] is None for answer in answers] == [False, True]
    revoke = "mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { problems { code } } }"
    await ask(client, revoke, ada, id=answers[0]["made"]["id"])
    gone = await made(client, KEY, ada, **given)
    assert (gone["made"], [problem["code"] for problem in gone["problems"]]) == (None, ["NOT_FOUND"])


async def test_a_key_is_its_users_own_and_is_free_after_a_day(client: AsyncClient, settings: Settings) -> None:
    ada, eve = await sign_up(client), await sign_up(client, "eve")
    given = {"name": "Crew", "idempotencyKey": "k"}
    first, hers = await made(client, WORKSPACE, ada, **given), await made(client, WORKSPACE, eve, **given)
    assert first["made"]["id"] != hers["made"]["id"]
    async with changing(settings.database_url) as tx:
        long_ago = await tx.scalar(select(col(IdempotencyKey.created_at)).limit(1))
        await tx.execute(update(IdempotencyKey).values(created_at=long_ago.replace(year=2020)))
    later = await made(client, WORKSPACE, ada, name="Other", idempotencyKey="k")
    assert later["problems"] == []
    assert (await made(client, WORKSPACE, ada, name="Other", idempotencyKey="k"))["made"] == later["made"]


async def test_a_request_that_was_refused_leaves_its_key_free(client: AsyncClient) -> None:
    ada = await sign_up(client)
    refused = await made(client, WORKSPACE, ada, name="", idempotencyKey="k")
    assert [problem["code"] for problem in refused["problems"]] == ["BAD_USER_INPUT"]
    assert (await made(client, WORKSPACE, ada, name="Crew", idempotencyKey="k"))["problems"] == []
    assert (await upload(client, ada, "a.exe", idempotencyKey="u"))["problems"][0]["code"] == "EXTENSION_NOT_ALLOWED"
    assert (await upload(client, ada, "a.png", idempotencyKey="u"))["problems"][0]["code"] == "MEDIA_TYPE_NOT_ALLOWED"
    assert (await upload(client, ada, "a.txt", idempotencyKey="u"))["problems"] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "ä", "line\n", "nul\0"])
async def test_a_key_that_is_none_is_refused(client: AsyncClient, key: str) -> None:
    ada = await sign_up(client)
    problem = {"code": "BAD_USER_INPUT", "path": ["idempotencyKey"]}
    refused = await made(client, WORKSPACE, ada, name="Crew", idempotencyKey=key)
    assert [each | {"__typename": ""} for each in refused["problems"]] == [problem | {"__typename": ""}]
    [told] = (await upload(client, ada, idempotencyKey=key))["problems"]
    assert (told["code"], told["path"]) == ("BAD_USER_INPUT", ["idempotencyKey"])
    assert (await made(client, WORKSPACE, ada, name="Crew", idempotencyKey="x" * 255))["problems"] == []


async def test_an_upload_that_is_sent_again_is_the_file_that_it_was(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    content = b"a few words\n" * 5000
    first = await uploaded(client, ada, content=content, idempotencyKey="k")
    assert await uploaded(client, ada, content=content, idempotencyKey="k") == first
    for other in (content[:-1], content + b"!", content[:-1] + b"!"):
        refused = await upload(client, ada, content=other, idempotencyKey="k")
        assert (refused["file"], [each["code"] for each in refused["problems"]]) == (None, ["IDEMPOTENCY_KEY_REUSED"])
    refused = await upload(client, ada, content=content, name="b.txt", idempotencyKey="k")
    assert [each["code"] for each in refused["problems"]] == []  # the name of the part, which is no part of the input
    assert await count(settings, File, Version) == [1, 1]
    assert len(stored(settings)) == 1


async def test_a_version_that_is_sent_again_is_no_conflict(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    given = {"content": b"newer\n", "replaces": file["id"], "ifRevision": 1}
    stale = await uploaded(client, ada, **given, idempotencyKey="k")
    assert await uploaded(client, ada, **given, idempotencyKey="k") == stale
    assert [each["code"] for each in (await upload(client, ada, **given))["problems"]] == ["CONFLICT"]
    answers = await asyncio.gather(
        *(uploaded(client, ada, **(given | {"ifRevision": 2}), idempotencyKey="l") for _ in range(6))
    )
    assert all(answer == answers[0] for answer in answers)
    assert await count(settings, Version) == [3]
    assert len(stored(settings)) == 3


async def test_of_many_uploads_at_once_one_is_kept(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    answers = await asyncio.gather(*(uploaded(client, ada, idempotencyKey="k") for _ in range(10)))
    assert len({answer["id"] for answer in answers}) == 1
    differing = await asyncio.gather(
        *(upload(client, ada, content=b"%d\n" % number, idempotencyKey="l") for number in range(6))
    )
    assert sorted(len(answer["problems"]) for answer in differing) == [0, 1, 1, 1, 1, 1]
    assert {each["code"] for answer in differing for each in answer["problems"]} == {"IDEMPOTENCY_KEY_REUSED"}
    assert await count(settings, File) == [2]
    assert len(stored(settings)) == 2


async def test_files_of_one_request_have_keys_of_their_own(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    contents = [b"one\n", b"one\n", b"two\n", b"three\n", b"four\n"]
    keys = ["a", "a", "a", "b", None]
    files = [{"file": None, "name": "a.txt", "idempotencyKey": key} for key in keys]
    for _ in range(2):
        answer = await client.post(
            "/graphql",
            data={
                "operations": json.dumps({"query": UPLOADS, "variables": {"files": files}}),
                "map": json.dumps({str(number): [f"variables.files.{number}.file"] for number in range(5)}),
            },
            files={str(number): ("a.txt", content) for number, content in enumerate(contents)},
            headers=ada.headers,
        )
        results = answer.json()["data"]["uploadFiles"]["results"]
        assert [[each["code"] for each in result["problems"]] for result in results] == [
            [],
            [],
            ["IDEMPOTENCY_KEY_REUSED"],
            [],
            [],
        ]
        assert results[0]["file"]["id"] == results[1]["file"]["id"]
    assert await count(settings, File) == [4]  # the one without a key is made each time
    assert len(stored(settings)) == 4


async def test_what_was_made_is_shown_by_the_right_that_there_is_now(client: AsyncClient, settings: Settings) -> None:
    ada, edith = await sign_up(client), await sign_up(client, "edith")
    workspace = await personal_workspace(client, ada)
    await join(settings.database_url, edith, workspace, WorkspaceRole.EDITOR)
    given: dict[str, Any] = {"workspaceId": workspace, "idempotencyKey": "k"}
    file = await uploaded(client, edith, **given)
    purge = "mutation ($id: ID!) { purgeFiles(input: { ids: [$id] }) { problems { code } } }"
    hers = update(Member).where(
        col(Member.user_id) == uuid_of(edith.id), col(Member.workspace_id) == uuid_of(workspace)
    )
    async with changing(settings.database_url) as tx:
        await tx.execute(hers.values(role=WorkspaceRole.VIEWER))
    assert [each["code"] for each in (await upload(client, edith, **given))["problems"]] == ["FORBIDDEN"]
    await ask(client, purge, ada, id=file["id"])
    [problem] = (await upload(client, edith, **given))["problems"]
    assert (problem["code"], problem["path"]) == ("NOT_FOUND", ["idempotencyKey"])
    assert stored(settings) == []


async def test_a_program_needs_its_scope_again(client: AsyncClient) -> None:
    ada = await sign_up(client)
    writer = await create_key(client, ada, "files:write")
    reader = await create_key(client, ada, "files:read")
    file = await uploaded(client, writer, idempotencyKey="k")
    assert await uploaded(client, writer, idempotencyKey="k") == file
    body = (
        await client.post(
            "/graphql",
            json={"query": ANNOUNCE, "variables": {"input": {"name": "a.txt", "idempotencyKey": "k"}}},
            headers=reader.headers,
        )
    ).json()
    assert [error["extensions"]["code"] for error in body["errors"]] == ["FORBIDDEN"]
