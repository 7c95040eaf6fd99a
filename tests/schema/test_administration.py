"""Administration through the front door, and what administrators never see."""

import json
from typing import Any

from graphql import GraphQLObjectType, GraphQLUnionType, get_named_type
from httpx2 import AsyncClient

from api.settings import Settings
from db.models import WorkspaceRole
from schema.schema import build_schema
from tests.asking import Account, ask, log_in, personal_workspace, post, sign_up, upload, uploaded
from tests.backstage import join, promote, stored
from tests.schema.test_workspace_mutations import create

ROLE = """mutation ($id: ID!, $role: UserRole!) { setUserRole(input: { id: $id, role: $role }) {
  user { username account { role } } problems { __typename code path }
} }"""
DISABLE = """mutation ($input: SetUserDisabledInput!) { setUserDisabled(input: $input) {
  user { username account { disabled } } problems { code path }
} }"""
DELETE = """mutation ($input: DeleteUserInput!) { deleteUser(input: $input) {
  user { username account { email } } problems { code path ... on OwnsWorkspaces { names } }
} }"""
QUOTA = """mutation ($input: SetQuotaInput!) { setQuota(input: $input) {
  workspace { name viewerRole usage { limit } } problems { code path }
} }"""


async def administrator(client: AsyncClient, settings: Settings) -> Account:
    boss = await sign_up(client, "boss")
    await promote(settings.database_url, boss)
    return boss


async def test_a_role_counts_from_the_next_request_on(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    last = (await ask(client, ROLE, boss, id=boss.id, role="USER"))["setUserRole"]
    assert last["problems"] == [{"__typename": "LastAdministrator", "code": "LAST_ADMINISTRATOR", "path": ["id"]}]
    given = (await ask(client, ROLE, boss, id=ada.id, role="ADMIN"))["setUserRole"]
    assert given == {"user": {"username": "ada", "account": {"role": "ADMIN"}}, "problems": []}
    taken = (await ask(client, ROLE, ada, id=boss.id, role="USER"))["setUserRole"]
    assert taken["user"]["account"] == {"role": "USER"}
    body = (await post(client, ROLE, boss, id=boss.id, role="ADMIN")).json()
    assert body["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_who_is_disabled_is_out_at_once_and_can_be_let_in_again(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    file = await uploaded(client, ada)
    query = "query ($id: ID!) { file(id: $id) { downloadUrl } }"
    link = (await ask(client, query, ada, id=file["id"]))["file"]["downloadUrl"]
    given = {"id": ada.id, "disabled": True, "reason": "left"}
    disabled = (await ask(client, DISABLE, boss, input=given))["setUserDisabled"]
    assert disabled == {"user": {"username": "ada", "account": {"disabled": True}}, "problems": []}
    assert (await post(client, "{ viewer { id } }", ada)).status_code == 401
    assert (await log_in(client))["problems"][0]["code"] == "CREDENTIALS_WRONG"
    assert (await client.get(link)).status_code == 404
    enabled = (await ask(client, DISABLE, boss, input={"id": ada.id, "disabled": False}))["setUserDisabled"]
    assert enabled["user"]["account"] == {"disabled": False}
    assert (await post(client, "{ viewer { id } }", ada)).status_code == 401  # what was signed in before stays out
    assert (await log_in(client))["problems"] == []
    long = (await ask(client, DISABLE, boss, input={**given, "reason": "x" * 501}))["setUserDisabled"]
    assert [problem["code"] for problem in long["problems"]] == ["BAD_USER_INPUT"]


async def test_an_account_goes_with_its_files_bytes_and_names(client: AsyncClient, settings: Settings) -> None:
    boss, ada, ed = await administrator(client, settings), await sign_up(client), await sign_up(client, "eddy")
    place = (await create(client, ada))["id"]
    await join(settings.database_url, ed, place, WorkspaceRole.EDITOR)
    own, shared = await uploaded(client, ada, "own.txt"), await uploaded(client, ada, "shared.txt", workspaceId=place)
    refused = (await ask(client, DELETE, boss, input={"id": ada.id}))["deleteUser"]
    assert refused["problems"] == [{"code": "OWNS_WORKSPACES", "path": ["handOverTo"], "names": ["Crew"]}]
    deleted = (await ask(client, DELETE, boss, input={"id": ada.id, "handOverTo": ed.id}))["deleteUser"]
    assert deleted == {"user": {"username": "ada", "account": {"email": "ada@example.org"}}, "problems": []}
    assert (await post(client, "{ viewer { id } }", ada)).status_code == 401
    assert len(stored(settings)) == 1
    query = "query ($id: ID!) { file(id: $id) { name uploadedBy { id } workspace { viewerRole } } }"
    assert (await ask(client, query, ed, id=shared["id"]))["file"] == {
        "name": "shared.txt",
        "uploadedBy": None,
        "workspace": {"viewerRole": "OWNER"},
    }
    assert (await ask(client, query, ed, id=own["id"]))["file"] is None
    await sign_up(client)  # the name and the email are free again


async def test_a_quota_is_told_to_members(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    place = await personal_workspace(client, ada)
    query = "query ($id: ID!) { workspace(id: $id) { usage { limit } } }"
    limits: dict[int | None, int | None] = {2**62: 2**62, 0: None, None: None}
    for limit, told in limits.items():
        payload = (await ask(client, QUOTA, boss, input={"workspaceId": place, "limit": limit}))["setQuota"]
        assert payload == {
            "workspace": {"name": "Personal", "viewerRole": None, "usage": {"limit": told}},
            "problems": [],
        }
        assert (await ask(client, query, ada, id=place))["workspace"] == {"usage": {"limit": told}}
    own = """mutation ($input: SetQuotaInput!) { setQuota(input: $input) {
      user { username account { usage { limit } } } } }"""
    given = await ask(client, own, boss, input={"userId": ada.id, "limit": 5})
    assert given["setQuota"]["user"] == {"username": "ada", "account": {"usage": {"limit": 5}}}
    for both in ({}, {"userId": ada.id, "workspaceId": place}):
        assert (await ask(client, QUOTA, boss, input=both))["setQuota"]["problems"][0]["code"] == "BAD_USER_INPUT"
    absent = (await ask(client, QUOTA, boss, input={"workspaceId": "wsp_x", "limit": 1}))["setQuota"]
    assert absent["problems"] == [{"code": "NOT_FOUND", "path": ["workspaceId"]}]
    for wrong in (-1, 2**63, "1", 1.5):
        body = (await post(client, QUOTA, boss, input={"workspaceId": place, "limit": wrong})).json()
        assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_everybody_else_has_no_right_to_any_of_it(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    place = await personal_workspace(client, ada)
    asked: list[tuple[str, dict[str, Any]]] = [
        (ROLE, {"id": ada.id, "role": "ADMIN"}),
        (ROLE, {"id": "user_" + "0" * 32, "role": "ADMIN"}),
        (DISABLE, {"input": {"id": boss.id, "disabled": True}}),
        (DELETE, {"input": {"id": boss.id}}),
        (QUOTA, {"input": {"workspaceId": place, "limit": 1}}),
        ("{ users { totalCount } }", {}),
        ("{ auditLog { totalCount } }", {}),
    ]
    for query, variables in asked:
        for asker, code in ((ada, "FORBIDDEN"), (None, "UNAUTHENTICATED")):
            body = (await post(client, query, asker, **variables)).json()
            assert [error["extensions"]["code"] for error in body["errors"]] == [code], query
    assert (await ask(client, "{ viewer { account { role disabled } } }", boss))["viewer"]["account"] == {
        "role": "ADMIN",
        "disabled": False,
    }


EVERYTHING = """query ($user: ID!, $workspace: ID!, $file: ID!, $version: ID!) {
  users(first: 5) { nodes { username account { email
    personalWorkspace { name usage { files used }
      members(first: 5) { nodes { user { username } } } invitations(first: 5) { nodes { email } } }
    workspaces(first: 5) { nodes { name usage { files used }
      members(first: 5) { nodes { role } } invitations(first: 5) { nodes { email } } } }
    activity { nodes { kind targetId size address requestId data workspace { name } actor { username } } }
  } } }
  auditLog(first: 100) { nodes { kind targetId size address requestId data workspace { name usage { files } } } }
  user: node(id: $user) { ... on User { account { activity(where: { workspaceId: $workspace }) { nodes { data } } } } }
  node(id: $workspace) { id }
  nodes(ids: [$file, $version, $workspace]) { id }
  file(id: $file) { name }
  files { nodes { name } }
  inPlace: files(where: { workspaceId: $workspace }) { nodes { name } }
  byUploader: files(where: { uploadedById: $user, nameContains: "zebra" }) { totalCount nodes { name } }
  workspace(id: $workspace) { name }
  uploadPolicy(workspaceId: $workspace) { maximumFiles }
}"""
CHANGES = """mutation ($workspace: ID!, $file: ID!, $user: ID!) {
  renameFile(input: { id: $file, name: "mine.txt" }) { file { name } problems { code } }
  purgeFiles(input: { ids: [$file] }) { results { file { name } problems { code } } }
  renameWorkspace(input: { id: $workspace, name: "Mine" }) { workspace { name } problems { code } }
  deleteWorkspace(input: { id: $workspace, purgeFiles: true }) { workspace { name } problems { code } }
  updateMember(input: { workspaceId: $workspace, userId: $user, role: VIEWER }) { member { role } problems { code } }
  removeMember(input: { workspaceId: $workspace, userId: $user }) { member { role } problems { code } }
  leaveWorkspace(input: { id: $workspace }) { workspace { name } problems { code } }
  inviteMember(input: { workspaceId: $workspace, email: "boss@example.org", role: OWNER }) { problems { code } }
  setQuota(input: { workspaceId: $workspace, limit: 5 }) {
    workspace { name viewerRole usage { files } } problems { code } }
}"""


async def test_an_administrator_reads_nothing_of_files_elsewhere_by_any_field(
    client: AsyncClient, settings: Settings
) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    place = (await create(client, ada))["id"]
    file = await uploaded(client, ada, "zebra-diary.txt", b"zebra stripes\n", workspaceId=place)
    rename = (
        'mutation ($id: ID!) { renameFile(input: { id: $id, name: "zebra-novel.txt" }) { file { version { id } } } }'
    )
    version = (await ask(client, rename, ada, id=file["id"]))["renameFile"]["file"]["version"]["id"]
    gone = await uploaded(client, ada, "zebra-gone.txt", workspaceId=place)
    await ask(
        client, "mutation ($id: ID!) { purgeFiles(input: { ids: [$id] }) { problems { code } } }", ada, id=gone["id"]
    )
    assert (await client.get(f"/files/{file['id']}/download", headers=ada.headers)).status_code == 200

    found = await ask(client, EVERYTHING, boss, user=ada.id, workspace=place, file=file["id"], version=version)
    assert "zebra" not in json.dumps(found)
    assert found["nodes"] == [None, None, None]
    assert found["byUploader"] == {"totalCount": 0, "nodes": []}
    assert [found[name] for name in ("node", "file", "workspace", "uploadPolicy")] == [None] * 4
    kinds = {event["kind"] for event in found["auditLog"]["nodes"]}
    assert {"FILE_UPLOADED", "FILE_RENAMED", "FILE_PURGED", "WORKSPACE_CREATED"} <= kinds

    changed = await ask(client, CHANGES, boss, workspace=place, file=file["id"], user=ada.id)
    told = json.dumps(changed)
    assert "zebra" not in told
    quota = changed.pop("setQuota")
    assert quota["workspace"] == {"name": "Crew", "viewerRole": None, "usage": {"files": 1}}
    [purged] = changed.pop("purgeFiles")["results"]
    for payload in (*changed.values(), purged):
        assert [problem["code"] for problem in payload["problems"]] == ["NOT_FOUND"]
    assert (await upload(client, boss, workspaceId=place))["problems"][0]["code"] == "NOT_FOUND"
    for path in (f"/files/{file['id']}/download", f"/files/{file['id']}/versions/{version}/download"):
        assert (await client.get(path, headers=boss.headers)).status_code == 404


def test_files_are_reached_by_no_other_fields_than_those_that_were_judged() -> None:
    schema = build_schema()._schema
    reaching = {
        f"{name}.{field}"
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__")
        for field, definition in kind.fields.items()
        if (target := get_named_type(definition.type)).name in {"File", "FileConnection", "Version"}
        and not isinstance(target, GraphQLUnionType)
    }
    assert reaching == {
        "Query.file",
        "Query.files",
        "FileConnection.nodes",
        "FileEdge.node",
        "File.version",
        "FileResult.file",
        "RenameFilePayload.file",
        "CompleteUploadPayload.file",
        "UploadSession.file",
        "AnalyticsExport.file",
        "UploadFilePayload.file",
        "FileEvent.file",
        "RestoreVersionPayload.file",
        "VersionConnection.nodes",
        "VersionEdge.node",
    }
