"""What a key of each scope may do, asked of every root field of the schema; the table is in `domain.rights`."""

from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import update

from api.settings import Settings
from db.engine import Database
from db.models import User
from domain.rights import RIGHTS, Keys, Right
from domain.scopes import Scope
from tests.asking import Account, ask, create_key, post, sign_up, uploaded
from tests.fields import Field, root_fields


def right_to(field: Field) -> Right:
    """The right that a field asks for; `node` is asked for a file here."""
    return RIGHTS.get(field.verb) or RIGHTS[f"{field.verb}: file"]


async def send(client: AsyncClient, asker: Account, field: Field) -> Any:
    return (await field.ask(client, asker.headers)).json()


def refused_scope(answer: Any) -> str | None:
    """The scope that the answer says is missing; Keys.NONE when no key may do this."""
    for error in answer.get("errors", ()):
        details = error["extensions"]
        assert details["code"] not in {"GRAPHQL_VALIDATION_FAILED", "INTERNAL"}, answer
        if details["code"] == "FORBIDDEN":
            scope: str = details.get("scope", Keys.NONE)
            return scope
    return None


def expected(field: Field, scope: Scope) -> str | None:
    right = right_to(field)
    needed = [right.needs, right.and_also or right.needs]
    return next((str(each) for each in needed if each not in {Keys.ANY, scope}), None)


@pytest.mark.parametrize(
    ("database_url", "is_admin"), [("postgresql", False), ("sqlite", True)], indirect=["database_url"]
)
async def test_a_key_does_what_its_scopes_say_and_nothing_else(
    client: AsyncClient, settings: Settings, *, is_admin: bool
) -> None:
    ada = await sign_up(client)
    if is_admin:
        database = Database(settings.database_url)
        async with database.transaction() as tx:
            await tx.execute(update(User).values(role="ADMIN"))
        await database.close()
    scopes = [scope for scope in Scope if is_admin or scope is not Scope.ADMIN]
    found = {}
    for scope in scopes:
        program = await create_key(client, ada, scope)
        found[scope] = {field.name: refused_scope(await send(client, program, field)) for field in root_fields()}
    assert found == {scope: {field.name: expected(field, scope) for field in root_fields()} for scope in scopes}


async def test_a_person_lacks_no_scope(client: AsyncClient) -> None:
    ada = await sign_up(client)
    for field in root_fields():
        if field.name not in {"logout", "revokeSessions"}:
            assert refused_scope(await send(client, ada, field)) in {None, Keys.NONE}


async def test_a_key_without_any_right_to_read_sees_whose_it_is_and_no_more(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    program = await create_key(client, ada, "analytics:read")
    assert (await ask(client, "{ viewer { id username } }", program))["viewer"] == {"id": ada.id, "username": "ada"}
    query = """query ($id: ID!, $user: ID!) {
      viewer { id account { email } } node(id: $id) { id } user: node(id: $user) { id }
    }"""
    body = {"query": query, "variables": {"id": file["id"], "user": ada.id}}
    answer = (await client.post("/graphql", json=body, headers=program.headers)).json()
    assert answer["data"] == {"viewer": {"id": ada.id, "account": None}, "node": None, "user": {"id": ada.id}}
    told = {error["path"][0]: error["extensions"] for error in answer["errors"]}
    assert told == {
        "viewer": {"code": "FORBIDDEN", "scope": "account:read"},
        "node": {"code": "FORBIDDEN", "scope": "files:read"},
    }


async def test_what_a_key_is_shown_of_a_file_does_not_lead_further_than_its_scopes(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await uploaded(client, ada)
    reader = await create_key(client, ada, "files:read")
    query = (
        "{ files { nodes { name workspace { name } version { number } uploadedBy { username account { email } } } } }"
    )
    answer = (await client.post("/graphql", json={"query": query}, headers=reader.headers)).json()
    [node] = answer["data"]["files"]["nodes"]
    assert (node["name"], node["workspace"], node["version"]) == ("notes.txt", {"name": "Personal"}, {"number": 1})
    assert node["uploadedBy"] == {"username": "ada", "account": None}
    assert [error["extensions"]["scope"] for error in answer["errors"]] == ["account:read"]


async def test_a_key_for_the_account_sees_it_and_no_files(client: AsyncClient) -> None:
    ada = await sign_up(client)
    program = await create_key(client, ada, "account:read")
    query = """{ viewer { account {
      email personalWorkspace { name } sessions { totalCount } apiKeys { nodes { scopes } }
    } } }"""
    account = (await ask(client, query, program))["viewer"]["account"]
    assert account == {
        "email": "ada@example.org",
        "personalWorkspace": {"name": "Personal"},
        "sessions": {"totalCount": 1},
        "apiKeys": {"nodes": [{"scopes": ["account:read"]}]},
    }


async def test_a_workspace_goes_with_its_files_only_by_a_key_that_may_purge_them(client: AsyncClient) -> None:
    ada = await sign_up(client)
    manager, both = [
        await create_key(client, ada, *scopes) for scopes in (["account:write"], ["account:write", "files:write"])
    ]
    create = 'mutation { createWorkspace(input: { name: "team" }) { workspace { id } } }'
    team = (await ask(client, create, manager))["createWorkspace"]["workspace"]["id"]
    await uploaded(client, both, workspaceId=team)
    delete = "mutation ($input: DeleteWorkspaceInput!) { deleteWorkspace(input: $input) { problems { code } } }"
    told = [await post(client, delete, asker, input={"id": team, "purgeFiles": True}) for asker in (manager, both)]
    assert refused_scope(told[0].json()) == "files:write"
    assert told[1].json() == {"data": {"deleteWorkspace": {"problems": []}}}


async def test_what_a_file_is_called_is_not_told_to_a_key_that_may_not_read_files(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await uploaded(client, ada)
    query = (
        "{ viewer { account { activity(where: { kinds: [FILE_UPLOADED] }) { nodes { data actor { username } } } } } }"
    )
    told = []
    for scopes in (["account:read"], ["account:read", "files:read"]):
        program = await create_key(client, ada, *scopes)
        told += (await ask(client, query, program))["viewer"]["account"]["activity"]["nodes"]
    assert told == [
        {"data": None, "actor": {"username": "ada"}},
        {"data": {"mediaType": "text/plain"}, "actor": {"username": "ada"}},
    ]
