"""The own account through the front door: another username, and the end of it."""

from pathlib import Path
from typing import Any

from httpx2 import AsyncClient

from api.settings import Settings
from db.models import WorkspaceRole
from tests.asking import PASSWORD, Account, ask, log_in, post, sign_up, uploaded
from tests.backstage import join, promote
from tests.schema.test_workspace_mutations import create

UPDATE = """mutation ($username: String!) { updateProfile(input: { username: $username }) {
  user { username } problems { code path }
} }"""
DELETE = """mutation ($password: String!, $heir: ID) {
  deleteAccount(input: { password: $password, handOverTo: $heir }) {
    user { id username account { email } } problems { code path ... on OwnsWorkspaces { names } }
  }
}"""


async def leave(client: AsyncClient, asker: Account, password: str = PASSWORD, heir: str | None = None) -> Any:
    return (await ask(client, DELETE, asker, password=password, heir=heir))["deleteAccount"]


def blobs_in(folder: Path) -> list[Path]:
    return [path for path in (folder / "blobs").rglob("*") if path.is_file()]


async def test_another_username_is_taken_by_the_rules_of_signup(client: AsyncClient) -> None:
    ada, _ = await sign_up(client), await sign_up(client, "eve")
    changed = (await ask(client, UPDATE, ada, username="Ada.L"))["updateProfile"]
    assert changed == {"user": {"username": "Ada.L"}, "problems": []}
    for username, code in (("EVE", "NAME_TAKEN"), ("\u0430da", "BAD_USER_INPUT"), ("x" * 9999, "BAD_USER_INPUT")):
        refused = (await ask(client, UPDATE, ada, username=username))["updateProfile"]
        assert refused == {"user": None, "problems": [{"code": code, "path": ["username"]}]}
    assert (await log_in(client, "ada.l"))["accessToken"]
    answer = (await post(client, UPDATE, username="nobody")).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_deleted_account_takes_its_files_and_bytes_along(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    await uploaded(client, ada, "more.txt", workspaceId=(await create(client, ada))["id"])
    before = set(blobs_in(settings.data_folder))
    wrong = await leave(client, ada, "another")
    assert wrong == {"user": None, "problems": [{"code": "CREDENTIALS_WRONG", "path": ["password"]}]}
    gone = await leave(client, ada)
    assert gone == {"user": {"id": ada.id, "username": "ada", "account": None}, "problems": []}
    assert (await post(client, "{ viewer { id } }", ada)).status_code == 401
    assert (await client.get(f"/files/{file['id']}/download", headers=ada.headers)).status_code == 401
    assert before
    assert not before & set(blobs_in(settings.data_folder))
    assert (await log_in(client))["accessToken"] is None
    assert (await sign_up(client)).id != ada.id


async def test_shared_workspaces_are_handed_over_or_named(client: AsyncClient, settings: Settings) -> None:
    ada, ed, stranger = [await sign_up(client, name) for name in ("ada", "eddy", "stranger")]
    place = (await create(client, ada))["id"]
    await join(settings.database_url, ed, place, WorkspaceRole.EDITOR)
    [problem] = (await leave(client, ada))["problems"]
    assert (problem["code"], problem["path"], len(problem["names"])) == ("OWNS_WORKSPACES", ["handOverTo"], 1)
    for heir in (stranger.id, "user_" + "0" * 32, "x" * 9999, place):
        refused = (await leave(client, ada, heir=heir))["problems"]
        assert refused == [{"code": "NOT_FOUND", "path": ["handOverTo"]}]
    assert (await leave(client, ada, heir=ed.id))["problems"] == []
    seen = await ask(client, "query ($id: ID!) { workspace(id: $id) { viewerRole } }", ed, id=place)
    assert seen["workspace"] == {"viewerRole": "OWNER"}


async def test_the_last_administrator_stays(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    await promote(settings.database_url, ada)
    assert (await leave(client, ada))["problems"] == [{"code": "LAST_ADMINISTRATOR", "path": None}]
    answer = (await post(client, DELETE, password=PASSWORD)).json()
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
