"""What a key of each scope may do, asked of every root field of the schema: a new field needs a line here."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    build_schema,
    get_named_type,
    is_leaf_type,
)
from httpx2 import AsyncClient
from sqlalchemy import update

from api.settings import Settings
from db.engine import Database
from db.models import User
from domain.scopes import Scope
from schema.schema import build_schema as own_schema
from tests.asking import Account, ask, create_key, sign_up, uploaded

ANY = "any key, whatever its scopes"
NONE = "no key"
MULTIPART = {"uploadFile": ["variables.input.file"], "uploadFiles": ["variables.input.files.0.file"]}

# Whoever adds a field decides here what a key needs for it.
NEEDED: dict[str, Scope | str] = {
    "viewer": ANY,
    "node": Scope.FILES_READ,
    "nodes": Scope.FILES_READ,
    "file": Scope.FILES_READ,
    "files": Scope.FILES_READ,
    "workspace": Scope.FILES_READ,
    "uploadPolicy": Scope.FILES_WRITE,
    "users": Scope.ADMIN,
    "auditLog": Scope.ADMIN,
    "signup": ANY,
    "login": ANY,
    "completeLogin": ANY,
    "refreshSession": ANY,
    "logout": NONE,
    "revokeSession": NONE,
    "revokeSessions": NONE,
    "startTwoFactor": NONE,
    "confirmTwoFactor": NONE,
    "disableTwoFactor": NONE,
    "verifyEmail": ANY,
    "confirmEmail": ANY,
    "requestPasswordReset": ANY,
    "resetPassword": ANY,
    "resendVerification": Scope.ACCOUNT_WRITE,
    "changeEmail": NONE,
    "changePassword": NONE,
    "updateProfile": Scope.ACCOUNT_WRITE,
    "deleteAccount": NONE,
    "createApiKey": NONE,
    "updateApiKey": NONE,
    "rotateApiKey": NONE,
    "revokeApiKey": NONE,
    "uploadFile": Scope.FILES_WRITE,
    "uploadFiles": Scope.FILES_WRITE,
    "renameFile": Scope.FILES_WRITE,
    "purgeFiles": Scope.FILES_WRITE,
    "createWorkspace": Scope.ACCOUNT_WRITE,
    "renameWorkspace": Scope.ACCOUNT_WRITE,
    "deleteWorkspace": Scope.ACCOUNT_WRITE,
    "leaveWorkspace": Scope.ACCOUNT_WRITE,
    "inviteMember": Scope.ACCOUNT_WRITE,
    "acceptInvitation": Scope.ACCOUNT_WRITE,
    "revokeInvitation": Scope.ACCOUNT_WRITE,
    "updateMember": Scope.ACCOUNT_WRITE,
    "removeMember": Scope.ACCOUNT_WRITE,
    "setUserRole": Scope.ADMIN,
    "setUserDisabled": Scope.ADMIN,
    "setQuota": Scope.ADMIN,
    "deleteUser": Scope.ADMIN,
}
VALUES = {"ID": "file_" + "0" * 32, "String": "word", "Int": 1, "Boolean": False, "ByteCount": 1, "Upload": None}
SCHEMA = build_schema(str(own_schema()))


@dataclass(frozen=True, slots=True)
class Try:
    """A root field, as it is asked with the least that it takes."""

    name: str
    document: str
    variables: dict[str, Any]


def tries() -> list[Try]:
    roots = [root for root in (SCHEMA.query_type, SCHEMA.mutation_type) if isinstance(root, GraphQLObjectType)]
    return [_try(root, name, field) for root in roots for name, field in root.fields.items()]


def _try(root: GraphQLObjectType, name: str, field: GraphQLField) -> Try:
    needed = {key: argument for key, argument in field.args.items() if _is_needed(argument) or key == "input"}
    declared = ", ".join(f"${key}: {argument.type}" for key, argument in needed.items())
    given = ", ".join(f"{key}: ${key}" for key in needed)
    selected = "" if is_leaf_type(get_named_type(field.type)) else "{ __typename }"
    head, asked = (f"T({declared})", f"{name}({given})") if needed else ("T", name)
    return Try(
        name,
        f"{root.name.lower()} {head} {{ {asked} {selected} }}",
        {key: _value(argument.type) for key, argument in needed.items()},
    )


def _is_needed(given: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(given.type, GraphQLNonNull) and not given.default_value


def _value(of: GraphQLInputType) -> Any:
    if isinstance(of, GraphQLNonNull):
        return _value(of.of_type)
    if isinstance(of, GraphQLList):
        return [_value(of.of_type)]
    if isinstance(of, GraphQLInputObjectType):
        return {name: _value(field.type) for name, field in of.fields.items() if _is_needed(field)}
    if isinstance(of, GraphQLEnumType):
        return next(iter(of.values))
    assert isinstance(of, GraphQLScalarType)
    return VALUES[of.name]


async def send(client: AsyncClient, asker: Account, tried: Try) -> Any:
    body = {"query": tried.document, "variables": tried.variables}
    if tried.name in MULTIPART:
        parts = {"operations": json.dumps(body), "map": json.dumps({"0": MULTIPART[tried.name]})}
        answer = await client.post("/graphql", data=parts, files={"0": ("a.txt", b"a")}, headers=asker.headers)
    else:
        answer = await client.post("/graphql", json=body, headers=asker.headers)
    return answer.json()


def refused_scope(answer: Any) -> str | None:
    """The scope that the answer says is missing; NONE when no key may do this."""
    for error in answer.get("errors", ()):
        details = error["extensions"]
        assert details["code"] not in {"GRAPHQL_VALIDATION_FAILED", "INTERNAL"}, answer
        if details["code"] == "FORBIDDEN":
            scope: str = details.get("scope", NONE)
            return scope
    return None


def expected(name: str, scope: Scope) -> str | None:
    needed = NEEDED[name]
    return None if needed in {ANY, scope} else str(needed)


def test_every_root_field_says_what_a_key_needs_for_it() -> None:
    assert {tried.name for tried in tries()} == set(NEEDED)


@pytest.mark.parametrize("is_admin", [False, True], ids=["user", "administrator"])
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
        found[scope] = {tried.name: refused_scope(await send(client, program, tried)) for tried in tries()}
    assert found == {scope: {tried.name: expected(tried.name, scope) for tried in tries()} for scope in scopes}


async def test_a_person_lacks_no_scope(client: AsyncClient) -> None:
    ada = await sign_up(client)
    for tried in tries():
        if tried.name not in {"logout", "revokeSessions"}:
            assert refused_scope(await send(client, ada, tried)) in {None, NONE}


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
    tried = Try("deleteWorkspace", delete, {"input": {"id": team, "purgeFiles": True}})
    assert refused_scope(await send(client, manager, tried)) == "files:write"
    assert await send(client, both, tried) == {"data": {"deleteWorkspace": {"problems": []}}}


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
