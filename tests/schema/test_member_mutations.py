"""Members through the front door: what a role lets them do, and what remains when they go."""

from typing import Any

from httpx2 import AsyncClient

from api.settings import Settings
from db.models import WorkspaceRole
from tests.asking import Account, ask, post, sign_up, upload, uploaded
from tests.backstage import join
from tests.schema.test_workspace_mutations import create

UPDATE = """mutation ($input: UpdateMemberInput!) { updateMember(input: $input) {
  member { role user { username } } problems { __typename code path }
} }"""
REMOVE = """mutation ($input: RemoveMemberInput!) { removeMember(input: $input) {
  member { role user { id username } } problems { code path }
} }"""
LEAVE = """mutation ($id: ID!) { leaveWorkspace(input: { id: $id }) {
  workspace { id name } problems { __typename code path }
} }"""


async def update(client: AsyncClient, asker: Account, workspace_id: str, user_id: str, role: str) -> Any:
    given = {"workspaceId": workspace_id, "userId": user_id, "role": role}
    return (await ask(client, UPDATE, asker, input=given))["updateMember"]


async def test_a_role_decides_what_a_member_may_do_from_the_next_request_on(
    client: AsyncClient, settings: Settings
) -> None:
    ada, ed = await sign_up(client), await sign_up(client, "eddy")
    place = (await create(client, ada))["id"]
    await join(settings.database_url, ed, place, WorkspaceRole.VIEWER)
    assert (await upload(client, ed, workspaceId=place))["problems"][0]["code"] == "FORBIDDEN"
    made = await update(client, ada, place, ed.id, "EDITOR")
    assert made == {"member": {"role": "EDITOR", "user": {"username": "eddy"}}, "problems": []}
    file = await uploaded(client, ed, workspaceId=place)
    removed = (await ask(client, REMOVE, ada, input={"workspaceId": place, "userId": ed.id}))["removeMember"]
    assert removed == {"member": {"role": "EDITOR", "user": {"id": ed.id, "username": "eddy"}}, "problems": []}
    assert (await upload(client, ed, workspaceId=place))["problems"][0]["code"] == "NOT_FOUND"
    query = "query ($id: ID!) { file(id: $id) { uploadedBy { username } } }"
    assert (await ask(client, query, ed, id=file["id"]))["file"] is None
    assert (await ask(client, query, ada, id=file["id"]))["file"] == {"uploadedBy": {"username": "eddy"}}
    assert (await client.get(f"/files/{file['id']}/download", headers=ed.headers)).status_code == 404


async def test_refusals_of_members_are_problems(client: AsyncClient, settings: Settings) -> None:
    ada, ed, stranger = [await sign_up(client, name) for name in ("ada", "eddy", "stranger")]
    place = (await create(client, ada))["id"]
    await join(settings.database_url, ed, place, WorkspaceRole.EDITOR)
    last = await update(client, ada, place, ada.id, "EDITOR")
    assert last == {"member": None, "problems": [{"__typename": "LastOwner", "code": "LAST_OWNER", "path": None}]}
    assert (await update(client, ed, place, ed.id, "OWNER"))["problems"][0]["code"] == "FORBIDDEN"
    absent = (await update(client, ada, place, stranger.id, "EDITOR"))["problems"]
    assert absent == [{"__typename": "NotFound", "code": "NOT_FOUND", "path": ["userId"]}]
    assert absent == (await update(client, ada, place, "user_" + "0" * 32, "EDITOR"))["problems"]
    hidden = (await update(client, stranger, place, ed.id, "OWNER"))["problems"]
    assert hidden == (await update(client, stranger, "wsp_" + "0" * 32, ed.id, "OWNER"))["problems"]
    assert hidden == [{"__typename": "NotFound", "code": "NOT_FOUND", "path": ["workspaceId"]}]


async def test_members_leave_and_see_no_more(client: AsyncClient, settings: Settings) -> None:
    ada, ed = await sign_up(client), await sign_up(client, "eddy")
    place = (await create(client, ada))["id"]
    await join(settings.database_url, ed, place, WorkspaceRole.EDITOR)
    last = (await ask(client, LEAVE, ada, id=place))["leaveWorkspace"]
    assert last["problems"] == [{"__typename": "LastOwner", "code": "LAST_OWNER", "path": None}]
    left = (await ask(client, LEAVE, ed, id=place))["leaveWorkspace"]
    assert left == {"workspace": {"id": place, "name": "Crew"}, "problems": []}
    query = "query ($id: ID!) { workspace(id: $id) { id } }"
    assert (await ask(client, query, ed, id=place))["workspace"] is None
    again = (await ask(client, LEAVE, ed, id=place))["leaveWorkspace"]
    assert again["problems"] == [{"__typename": "NotFound", "code": "NOT_FOUND", "path": ["id"]}]


async def test_nobody_is_told_to_sign_in(client: AsyncClient) -> None:
    ada = await sign_up(client)
    place = (await create(client, ada))["id"]
    membership = {"workspaceId": place, "userId": ada.id}
    for query, variables in (
        (UPDATE, {"input": {**membership, "role": "EDITOR"}}),
        (REMOVE, {"input": membership}),
        (LEAVE, {"id": place}),
    ):
        body = (await post(client, query, **variables)).json()
        assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"]
