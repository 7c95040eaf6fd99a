"""Workspaces found: by id, from an account, and what is told of them, for everyone who may ask."""

from httpx2 import AsyncClient

from api.settings import Settings
from db.models import WorkspaceRole
from tests.asking import ask, personal_workspace, post, sign_up, uploaded
from tests.backstage import counted, join, promote
from tests.schema.test_workspace_mutations import create

WORKSPACE = """query ($id: ID!) { workspace(id: $id) {
  id name personal viewerRole
  members(first: 10) { totalCount nodes { role createdAt user { username account { email } } } }
  invitations { totalCount nodes { email } }
  usage { files used limit }
} }"""
MINE = """query ($first: Int, $after: String) { viewer { account { workspaces(first: $first, after: $after) {
  totalCount nodes { id name members { totalCount } } pageInfo { endCursor hasNextPage }
} } } }"""


async def test_members_see_a_workspace_and_others_do_not(client: AsyncClient, settings: Settings) -> None:
    ada, vera, stranger, boss = [await sign_up(client, name) for name in ("ada", "vera", "stranger", "boss")]
    await promote(settings.database_url, boss)
    place = (await create(client, ada))["id"]
    await join(settings.database_url, vera, place, WorkspaceRole.VIEWER)
    await uploaded(client, ada, content=b"12345", workspaceId=place)
    seen = (await ask(client, WORKSPACE, vera, id=place))["workspace"]
    assert seen["viewerRole"] == "VIEWER"
    assert seen["invitations"] is None
    assert seen["usage"] == {"files": 1, "used": 5, "limit": None}
    assert seen["members"]["totalCount"] == 2
    assert [(member["user"]["username"], member["role"]) for member in seen["members"]["nodes"]] == [
        ("ada", "OWNER"),
        ("vera", "VIEWER"),
    ]
    assert [member["user"]["account"] for member in seen["members"]["nodes"]] == [
        None,
        {"email": "vera@example.org"},
    ]
    assert (await ask(client, WORKSPACE, ada, id=place))["workspace"]["invitations"] == {"totalCount": 0, "nodes": []}
    for asker in (stranger, boss, None):
        assert await ask(client, WORKSPACE, asker, id=place) == {"workspace": None}
    for given in ("wsp_" + "0" * 32, "", "x" * 5000, place.upper()):
        assert await ask(client, WORKSPACE, ada, id=given) == {"workspace": None}


async def test_an_account_lists_its_workspaces_page_by_page(client: AsyncClient) -> None:
    ada = await sign_up(client)
    for number in range(3):
        await create(client, ada, f"W{number}")
    first = (await ask(client, MINE, ada, first=2))["viewer"]["account"]["workspaces"]
    assert [node["name"] for node in first["nodes"]] == ["Personal", "W0"]
    assert first["totalCount"] == 4
    rest = (await ask(client, MINE, ada, first=2, after=first["pageInfo"]["endCursor"]))["viewer"]["account"][
        "workspaces"
    ]
    assert [node["name"] for node in rest["nodes"]] == ["W1", "W2"]
    assert not rest["pageInfo"]["hasNextPage"]
    for arguments in ({"first": 0}, {"first": 101}, {"after": "x"}):
        body = (await post(client, MINE, ada, **arguments)).json()
        assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_workspaces_of_others_are_listed_for_administrators_alone(
    client: AsyncClient, settings: Settings
) -> None:
    ada, boss = await sign_up(client), await sign_up(client, "boss")
    await promote(settings.database_url, boss)
    place = (await create(client, ada))["id"]
    query = """query ($id: ID!) { node(id: $id) { ... on User { account { workspaces { nodes {
      id viewerRole usage { files } members { nodes { user { username } } } invitations { totalCount }
    } } } } } }"""
    found = (await ask(client, query, boss, id=ada.id))["node"]["account"]["workspaces"]["nodes"]
    assert found[1] == {
        "id": place,
        "viewerRole": None,
        "usage": {"files": 0},
        "members": {"nodes": [{"user": {"username": "ada"}}]},
        "invitations": None,
    }


async def test_the_number_of_statements_does_not_grow_with_the_workspaces(
    client: AsyncClient, settings: Settings
) -> None:
    ada = await sign_up(client)
    query = """{ viewer { account { workspaces(first: 20) { totalCount nodes {
      name usage { used } members(first: 3) { totalCount nodes { user { username } } }
      invitations(first: 3) { totalCount nodes { email } }
    } } } } }"""
    counts: list[tuple[int, int]] = []
    for _ in range(2):
        for number in range(4):
            place = (await create(client, ada, f"W{number}"))["id"]
            await join(
                settings.database_url, await sign_up(client, f"guest{len(counts)}{number}"), place, WorkspaceRole.VIEWER
            )
        with counted() as statements:
            nodes = (await ask(client, query, ada))["viewer"]["account"]["workspaces"]["nodes"]
        counts.append((len(nodes), len(statements)))
    assert [number for number, _ in counts] == [5, 9]
    assert counts[0][1] == counts[1][1]


async def test_a_new_account_lists_its_workspaces_in_the_answer_to_the_signup(client: AsyncClient) -> None:
    query = """mutation ($input: SignupInput!) { signup(input: $input) { user { account {
      workspaces { nodes { name members { nodes { user { username } } } usage { files } } }
      activity { nodes { kind } }
    } } } }"""
    given = {"username": "ada", "email": "ada@example.org", "password": "a quiet harbour at dusk"}
    account = (await ask(client, query, input=given))["signup"]["user"]["account"]
    assert account == {
        "workspaces": {
            "nodes": [
                {"name": "Personal", "members": {"nodes": [{"user": {"username": "ada"}}]}, "usage": {"files": 0}}
            ]
        },
        "activity": {"nodes": [{"kind": "USER_CREATED"}]},
    }


async def test_a_members_page_of_a_personal_workspace_is_its_person(client: AsyncClient) -> None:
    ada = await sign_up(client)
    found = (await ask(client, WORKSPACE, ada, id=await personal_workspace(client, ada)))["workspace"]
    assert found["personal"] is True
    assert [member["user"]["username"] for member in found["members"]["nodes"]] == ["ada"]
