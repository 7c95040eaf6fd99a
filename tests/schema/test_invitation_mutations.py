"""Invitations through the front door."""

from typing import Any

from httpx2 import AsyncClient

from api.settings import Settings
from db.models import WorkspaceRole
from tests.asking import Account, ask, personal_workspace, post, sign_up
from tests.backstage import give_token, join
from tests.schema.test_workspace_mutations import create

INVITE = """mutation ($input: InviteMemberInput!) { inviteMember(input: $input) {
  invitation { id email role createdAt expiresAt invitedBy { username } } problems { __typename code path }
} }"""
ACCEPT = """mutation ($token: String!) { acceptInvitation(input: { token: $token }) {
  workspace { id viewerRole members { nodes { user { username } } } } problems { code path message }
} }"""
REVOKE = """mutation ($id: ID!) { revokeInvitation(input: { id: $id }) {
  invitation { email } problems { code path }
} }"""
TOKEN = "from-the-mail".ljust(43, "x")
OPEN = "query ($id: ID!) { workspace(id: $id) { invitations { totalCount nodes { id email role } } } }"


async def invite(client: AsyncClient, asker: Account, workspace_id: str, email: str = "eddy@example.org") -> Any:
    given = {"workspaceId": workspace_id, "email": email, "role": "EDITOR"}
    return (await ask(client, INVITE, asker, input=given))["inviteMember"]


async def test_an_invitation_is_sent_seen_and_accepted(client: AsyncClient, settings: Settings) -> None:
    ada, ed, stranger = [await sign_up(client, name) for name in ("ada", "eddy", "stranger")]
    place = (await create(client, ada))["id"]
    sent = (await invite(client, ada, place, "Eddy@Example.org"))["invitation"]
    assert sent["id"].startswith("inv_")
    assert (sent["email"], sent["role"], sent["invitedBy"]) == ("eddy@example.org", "EDITOR", {"username": "ada"})
    seen = (await ask(client, OPEN, ada, id=place))["workspace"]["invitations"]
    assert seen == {"totalCount": 1, "nodes": [{"id": sent["id"], "email": "eddy@example.org", "role": "EDITOR"}]}
    await give_token(settings.database_url, sent["id"], TOKEN)
    wrong = (await ask(client, ACCEPT, stranger, token=TOKEN))["acceptInvitation"]
    assert wrong == (await ask(client, ACCEPT, ed, token="x" * 43))["acceptInvitation"]
    assert [problem["code"] for problem in wrong["problems"]] == ["NOT_FOUND"]
    accepted = (await ask(client, ACCEPT, ed, token=TOKEN))["acceptInvitation"]
    assert accepted["workspace"] == {
        "id": place,
        "viewerRole": "EDITOR",
        "members": {"nodes": [{"user": {"username": "ada"}}, {"user": {"username": "eddy"}}]},
    }
    assert wrong == (await ask(client, ACCEPT, ed, token=TOKEN))["acceptInvitation"]
    assert (await ask(client, OPEN, ada, id=place))["workspace"]["invitations"]["totalCount"] == 0
    assert (await ask(client, OPEN, ed, id=place))["workspace"] == {"invitations": None}


async def test_an_invitation_is_revoked_by_owners_alone(client: AsyncClient, settings: Settings) -> None:
    ada, ed, stranger = [await sign_up(client, name) for name in ("ada", "eddy", "stranger")]
    place = (await create(client, ada))["id"]
    await join(settings.database_url, ed, place, WorkspaceRole.EDITOR)
    sent = (await invite(client, ada, place, "new@example.org"))["invitation"]
    for asker, given in ((ed, sent["id"]), (stranger, sent["id"]), (ada, "inv_" + "0" * 32), (ada, "x" * 9999)):
        refused = (await ask(client, REVOKE, asker, id=given))["revokeInvitation"]
        assert refused == {"invitation": None, "problems": [{"code": "NOT_FOUND", "path": ["id"]}]}
    revoked = (await ask(client, REVOKE, ada, id=sent["id"]))["revokeInvitation"]
    assert revoked == {"invitation": {"email": "new@example.org"}, "problems": []}
    assert (await ask(client, OPEN, ada, id=place))["workspace"]["invitations"]["totalCount"] == 0


async def test_refused_invitations_say_why(client: AsyncClient, settings: Settings) -> None:
    ada, ed, stranger = [await sign_up(client, name) for name in ("ada", "eddy", "stranger")]
    place = (await create(client, ada))["id"]
    await join(settings.database_url, ed, place, WorkspaceRole.EDITOR)
    cases = [
        (ada, place, "nobody", "InvalidInput", ["email"]),
        (ed, place, "x@example.org", "Forbidden", ["workspaceId"]),
        (stranger, place, "x@example.org", "NotFound", ["workspaceId"]),
        (ada, await personal_workspace(client, ada), "x@example.org", "PersonalWorkspace", ["workspaceId"]),
    ]
    for asker, where, email, name, path in cases:
        [problem] = (await invite(client, asker, where, email))["problems"]
        assert (problem["__typename"], problem["path"]) == (name, path)


async def test_nobody_is_told_to_sign_in(client: AsyncClient) -> None:
    for query, variables in (
        (INVITE, {"input": {"workspaceId": "x", "email": "a@b.org", "role": "OWNER"}}),
        (ACCEPT, {"token": "x"}),
        (REVOKE, {"id": "x"}),
    ):
        body = (await post(client, query, **variables)).json()
        assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"]
