"""Workspaces through the front door: made, renamed and deleted, with what lies in them."""

import asyncio
from typing import Any

from httpx2 import AsyncClient

from api.settings import Settings
from db.models import WorkspaceRole
from tests.asking import Account, ask, personal_workspace, post, sign_up, upload, uploaded
from tests.backstage import join, stored

CREATE = """mutation ($name: String!) { createWorkspace(input: { name: $name }) {
  workspace { id name personal viewerRole usage { files used limit }
    members { totalCount nodes { role user { username } } } }
  problems { __typename code message path }
} }"""
RENAME = """mutation ($input: RenameWorkspaceInput!) { renameWorkspace(input: $input) {
  workspace { name viewerRole } problems { code path }
} }"""
DELETE = """mutation ($input: DeleteWorkspaceInput!) { deleteWorkspace(input: $input) {
  workspace { id name } problems { __typename code path ... on WorkspaceNotEmpty { files } }
} }"""
WORKSPACE = "query ($id: ID!) { workspace(id: $id) { name } node(id: $id) { id } }"


async def create(client: AsyncClient, asker: Account, name: str = "Crew") -> Any:
    """A new workspace."""
    payload = (await ask(client, CREATE, asker, name=name))["createWorkspace"]
    assert payload["problems"] == []
    return payload["workspace"]


async def test_who_makes_a_workspace_owns_it_and_uploads_to_it(client: AsyncClient) -> None:
    ada = await sign_up(client)
    made = await create(client, ada, " Crew ")
    assert made.pop("id").startswith("wsp_")
    assert made == {
        "name": "Crew",
        "personal": False,
        "viewerRole": "OWNER",
        "members": {"totalCount": 1, "nodes": [{"role": "OWNER", "user": {"username": "ada"}}]},
        "usage": {"files": 0, "used": 0, "limit": None},
    }


async def test_a_bad_name_is_a_problem_and_nothing_is_made(client: AsyncClient) -> None:
    ada = await sign_up(client)
    for name in ("", " ", "x" * 101):
        payload = (await ask(client, CREATE, ada, name=name))["createWorkspace"]
        assert payload["workspace"] is None
        assert [problem["code"] for problem in payload["problems"]] == ["BAD_USER_INPUT"]
    query = "{ viewer { account { workspaces { totalCount } } } }"
    assert (await ask(client, query, ada))["viewer"]["account"]["workspaces"] == {"totalCount": 1}


async def test_nobody_is_told_to_sign_in(client: AsyncClient) -> None:
    ada = await sign_up(client)
    place = (await create(client, ada))["id"]
    for query, variables in (
        (CREATE, {"name": "x"}),
        (RENAME, {"input": {"id": place, "name": "x"}}),
        (DELETE, {"input": {"id": place}}),
    ):
        body = (await post(client, query, **variables)).json()
        assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"]


async def test_a_rename_is_an_owners_and_absent_reads_like_hidden(client: AsyncClient, settings: Settings) -> None:
    ada, ed, stranger = [await sign_up(client, name) for name in ("ada", "eddy", "stranger")]
    place = (await create(client, ada))["id"]
    await join(settings.database_url, ed, place, WorkspaceRole.EDITOR)
    renamed = (await ask(client, RENAME, ada, input={"id": place, "name": "Ship"}))["renameWorkspace"]
    assert renamed == {"workspace": {"name": "Ship", "viewerRole": "OWNER"}, "problems": []}
    refused = (await ask(client, RENAME, ed, input={"id": place, "name": "Boat"}))["renameWorkspace"]
    assert refused == {"workspace": None, "problems": [{"code": "FORBIDDEN", "path": ["id"]}]}
    answers = [
        (await ask(client, RENAME, stranger, input={"id": given, "name": "Boat"}))["renameWorkspace"]
        for given in (place, "wsp_" + "0" * 32, place.replace("wsp", "file"), "x" * 10_000, "\0", "")
    ]
    assert all(answer["problems"] == [{"code": "NOT_FOUND", "path": ["id"]}] for answer in answers)


async def test_a_workspace_goes_with_its_files_and_bytes_when_told_so(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    place = (await create(client, ada))["id"]
    file = await uploaded(client, ada, "a.txt", workspaceId=place)
    kept = await uploaded(client, ada, "b.txt")
    refused = (await ask(client, DELETE, ada, input={"id": place}))["deleteWorkspace"]
    assert refused["problems"] == [
        {"__typename": "WorkspaceNotEmpty", "code": "WORKSPACE_NOT_EMPTY", "path": ["id"], "files": 1}
    ]
    assert (await ask(client, WORKSPACE, ada, id=place))["workspace"] == {"name": "Crew"}
    deleted = (await ask(client, DELETE, ada, input={"id": place, "purgeFiles": True}))["deleteWorkspace"]
    assert deleted == {"workspace": {"id": place, "name": "Crew"}, "problems": []}
    assert await ask(client, WORKSPACE, ada, id=place) == {"workspace": None, "node": None}
    answers = [await client.get(f"/files/{each['id']}/download", headers=ada.headers) for each in (file, kept)]
    assert [answer.status_code for answer in answers] == [404, 200]
    assert len(stored(settings)) == 1
    again = (await ask(client, DELETE, ada, input={"id": place, "purgeFiles": True}))["deleteWorkspace"]
    assert [problem["code"] for problem in again["problems"]] == ["NOT_FOUND"]


async def test_a_personal_workspace_is_not_deleted(client: AsyncClient) -> None:
    ada = await sign_up(client)
    own = await personal_workspace(client, ada)
    refused = (await ask(client, DELETE, ada, input={"id": own, "purgeFiles": True}))["deleteWorkspace"]
    assert refused["problems"] == [{"__typename": "PersonalWorkspace", "code": "PERSONAL_WORKSPACE", "path": ["id"]}]


async def test_uploads_to_a_workspace_that_is_deleted_meanwhile_are_refused_and_leave_nothing(
    client: AsyncClient, settings: Settings
) -> None:
    ada = await sign_up(client)
    place = (await create(client, ada))["id"]

    async def send(number: int) -> Any:
        return await upload(client, ada, f"{number}.txt", workspaceId=place)

    async def delete() -> Any:
        return (await ask(client, DELETE, ada, input={"id": place, "purgeFiles": True}))["deleteWorkspace"]

    *sent, deleted = await asyncio.gather(*(send(number) for number in range(12)), delete())
    assert deleted["problems"] == []
    codes = {problem["code"] for payload in sent for problem in payload["problems"]}
    assert codes <= {"NOT_FOUND"}
    assert len(stored(settings)) == 0
