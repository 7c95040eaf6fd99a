"""Files through the front door: one by one, in lists, and changed."""

import asyncio
import hashlib
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import func, select
from sqlmodel import col

from api.settings import Settings
from db.engine import Database
from db.models import Blob, Event, WorkspaceRole
from tests.asking import Account, ask, personal_workspace, post, sign_up, upload, uploaded
from tests.backstage import counted, join, stored

FILE = """query ($id: ID!) { file(id: $id) {
  id name size mediaType declaredMediaType digest status revision createdAt updatedAt
  uploadedBy { username account { email } } workspace { id name viewerRole } version { id number size digest mediaType }
} }"""
FILES = """query ($where: FileWhere, $orderBy: FileOrder, $first: Int, $after: String, $last: Int, $before: String) {
  files(where: $where, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    totalCount nodes { name } edges { cursor }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
RENAME = """mutation ($input: RenameFileInput!) { renameFile(input: $input) {
  file { name revision } problems { code path ... on Conflict { revision } }
} }"""
PURGE = """mutation ($ids: [ID!]!) { purgeFiles(input: { ids: $ids }) {
  results { id file { name } problems { code } } problems { code }
} }"""


async def names(client: AsyncClient, asker: Account, **arguments: Any) -> list[str]:
    """The names of a page of files."""
    return [node["name"] for node in (await ask(client, FILES, asker, **arguments))["files"]["nodes"]]


async def test_a_file_tells_what_was_found_and_what_was_said(client: AsyncClient) -> None:
    ada = await sign_up(client)
    content = b"a,b\n1,2\n"
    made = await uploaded(client, ada, "Table.CSV", content)
    file = (await ask(client, FILE, ada, id=made["id"]))["file"]
    digest = hashlib.sha256(content).hexdigest()
    assert file["name"] == "Table.CSV"
    assert file["size"] == file["version"]["size"] == 8
    assert file["mediaType"] == file["version"]["mediaType"] == "text/csv"
    assert file["digest"] == file["version"]["digest"] == digest
    assert (file["status"], file["revision"], file["version"]["number"]) == ("READY", 1, 1)
    assert file["createdAt"] == file["updatedAt"]
    assert file["uploadedBy"] == {"username": "ada", "account": {"email": "ada@example.org"}}
    assert file["workspace"]["viewerRole"] == "OWNER"


async def test_what_is_not_yours_is_not_there(client: AsyncClient, settings: Settings) -> None:
    ada, eve = await sign_up(client), await sign_up(client, "eve")
    file = await uploaded(client, ada)
    workspace = await personal_workspace(client, ada)
    absent = "file_" + "0" * 32
    for asker in (eve, None):
        query = 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } file(id: "' + file["id"] + '") { id } }'
        answer = await ask(client, query, asker, ids=[file["id"], workspace, ada.id, absent, "nonsense", ""])
        assert answer == {"nodes": [None] * 6, "file": None}
    renamed = [await ask(client, RENAME, eve, input={"id": id_, "name": "x.txt"}) for id_ in (file["id"], absent, "x")]
    assert all(answer == renamed[0] for answer in renamed)
    assert renamed[0]["renameFile"]["problems"][0]["code"] == "NOT_FOUND"
    purged = (await ask(client, PURGE, eve, ids=[file["id"], absent]))["purgeFiles"]["results"]
    assert [result["problems"] for result in purged] == [[{"code": "NOT_FOUND"}]] * 2
    assert (await upload(client, eve, workspaceId=workspace))["problems"] == (
        await upload(client, eve, workspaceId="wsp_" + "0" * 32)
    )["problems"]
    assert len(stored(settings)) == 1


async def test_nobody_is_told_to_sign_in(client: AsyncClient) -> None:
    for query in (
        "{ files { nodes { id } } }",
        "{ uploadPolicy { maximumFiles } }",
        'mutation { renameFile(input: { id: "x", name: "y" }) { problems { code } } }',
        "mutation { purgeFiles(input: { ids: [] }) { problems { code } } }",
    ):
        body = (await post(client, query)).json()
        assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"], query


async def test_who_asks_is_judged_before_what_is_asked(client: AsyncClient) -> None:
    body = (await post(client, FILES, first=0, after="nonsense", where={"nameContains": "x" * 256})).json()
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"]


async def test_a_viewer_of_a_workspace_reads_and_an_editor_writes(client: AsyncClient, settings: Settings) -> None:
    ada, vera, ed = await sign_up(client), await sign_up(client, "vera"), await sign_up(client, "edith")
    file, workspace = await uploaded(client, ada), await personal_workspace(client, ada)
    await join(settings.database_url, vera, workspace, WorkspaceRole.VIEWER)
    await join(settings.database_url, ed, workspace, WorkspaceRole.EDITOR)
    seen = (await ask(client, FILE, vera, id=file["id"]))["file"]
    assert seen["uploadedBy"] == {"username": "ada", "account": None}
    assert seen["workspace"]["viewerRole"] == "VIEWER"
    rename = {"id": file["id"], "name": "renamed.txt"}
    assert (await ask(client, RENAME, vera, input=rename))["renameFile"]["problems"][0]["code"] == "FORBIDDEN"
    assert (await ask(client, PURGE, vera, ids=[file["id"]]))["purgeFiles"]["results"][0]["problems"] == [
        {"code": "FORBIDDEN"}
    ]
    assert (await upload(client, vera, workspaceId=workspace))["problems"][0]["code"] == "FORBIDDEN"
    policy = "query ($id: ID) { uploadPolicy(workspaceId: $id) { maximumFiles allowedExtensions blockedExtensions } }"
    assert (await ask(client, policy, vera, id=workspace))["uploadPolicy"] is None
    assert "exe" in (await ask(client, policy, ed, id=workspace))["uploadPolicy"]["blockedExtensions"]
    assert (await ask(client, RENAME, ed, input=rename))["renameFile"]["file"]["name"] == "renamed.txt"
    assert (await uploaded(client, ed, workspaceId=workspace))["name"] == "notes.txt"
    assert len(await names(client, vera)) == 2
    assert (await ask(client, "query ($id: ID!) { node(id: $id) { id } }", vera, id=ada.id))["node"] == {"id": ada.id}
    assert (await ask(client, PURGE, ed, ids=[file["id"]]))["purgeFiles"]["results"][0]["problems"] == []


async def test_files_are_filtered_by_what_they_are(client: AsyncClient) -> None:
    ada = await sign_up(client)
    first = await uploaded(client, ada, "Straße_100%.txt", b"x" * 10)
    await uploaded(client, ada, "table.csv", b"x" * 20)
    await uploaded(client, ada, "notes.md", b"x" * 30)
    created = (await ask(client, FILE, ada, id=first["id"]))["file"]["createdAt"]
    workspace = await personal_workspace(client, ada)
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["notes.md", "table.csv", "Straße_100%.txt"]),
        ({"nameContains": "STRASSE"}, ["Straße_100%.txt"]),
        ({"nameContains": "0%"}, ["Straße_100%.txt"]),
        ({"nameContains": "s_m"}, []),
        ({"nameContains": "q\0b"}, []),
        ({"mediaTypes": ["text/csv", "text/markdown"]}, ["notes.md", "table.csv"]),
        ({"mediaTypes": ["text/*"]}, ["notes.md", "table.csv", "Straße_100%.txt"]),
        ({"mediaTypes": []}, []),
        ({"sizeFrom": 20}, ["notes.md", "table.csv"]),
        ({"sizeTo": 20}, ["Straße_100%.txt"]),
        ({"sizeFrom": 10, "sizeTo": 30, "nameContains": "T"}, ["table.csv", "Straße_100%.txt"]),
        ({"createdFrom": created}, ["notes.md", "table.csv", "Straße_100%.txt"]),
        ({"createdTo": created}, []),
        ({"workspaceId": workspace}, ["notes.md", "table.csv", "Straße_100%.txt"]),
        ({"workspaceId": "wsp_" + "1" * 32}, []),
        ({"uploadedById": ada.id}, ["notes.md", "table.csv", "Straße_100%.txt"]),
        ({"uploadedById": "somebody"}, []),
    ]
    for where, expected in cases:
        assert await names(client, ada, where=where) == expected, where


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("field", ["NAME", "CREATED_AT", "SIZE"])
async def test_pages_in_any_order_cover_every_file_once_in_both_directions(
    client: AsyncClient, field: str, direction: str
) -> None:
    ada = await sign_up(client)
    for number in range(7):
        await uploaded(client, ada, f"{'aB'[number % 2]}{number // 3}.txt", b"x" * (number // 2))
    order = {"field": field, "direction": direction}
    whole = await names(client, ada, orderBy=order)
    forward: list[str] = []
    after = None
    while True:
        page = (await ask(client, FILES, ada, orderBy=order, first=3, after=after))["files"]
        forward += [node["name"] for node in page["nodes"]]
        assert page["totalCount"] == 7
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    backward: list[str] = []
    before = None
    while True:
        page = (await ask(client, FILES, ada, orderBy=order, last=2, before=before))["files"]
        backward = [node["name"] for node in page["nodes"]] + backward
        before = page["pageInfo"]["startCursor"]
        if not page["pageInfo"]["hasPreviousPage"]:
            break
    assert forward == backward == whole
    assert len(whole) == 7


async def test_a_page_stays_right_while_files_come_and_go(client: AsyncClient) -> None:
    ada = await sign_up(client)
    made = [await uploaded(client, ada, f"{number}.txt") for number in range(4)]
    order = {"field": "NAME", "direction": "ASC"}
    page = (await ask(client, FILES, ada, orderBy=order, first=2))["files"]
    await ask(client, PURGE, ada, ids=[made[0]["id"], made[1]["id"]])
    await uploaded(client, ada, "0a.txt")
    assert await names(client, ada, orderBy=order, first=2, after=page["pageInfo"]["endCursor"]) == ["2.txt", "3.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": 0},
        {"first": 101},
        {"last": 0},
        {"first": -1},
        {"first": 1, "last": 1},
        {"after": "nonsense"},
        {"before": "é"},
        {"after": "W10="},
        {"after": "WyJDUkVBVEVEX0FUIiwxLDJd"},
        {"where": {"nameContains": "x" * 256}},
        {"where": {"mediaTypes": ["a/b"] * 101}},
        {"where": {"mediaTypes": ["a" * 256]}},
        {"after": "W" * 10_000},
        {"after": "eyJhIjoxLCJiIjoyLCJjIjozfQ=="},
    ],
)
async def test_a_wrong_page_is_refused_as_bad_user_input(client: AsyncClient, arguments: dict[str, Any]) -> None:
    ada = await sign_up(client)
    body = (await post(client, FILES, ada, **arguments)).json()
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_USER_INPUT"]


async def test_a_cursor_of_another_order_is_refused(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await uploaded(client, ada)
    cursor = (await ask(client, FILES, ada))["files"]["pageInfo"]["endCursor"]
    body = (await post(client, FILES, ada, orderBy={"field": "SIZE"}, after=cursor)).json()
    assert body["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "where",
    [
        {"sizeFrom": -1},
        {"sizeFrom": 2**63},
        {"sizeFrom": "1"},
        {"sizeFrom": True},
        {"createdFrom": "yesterday"},
        {"createdFrom": "2026-01-01T00:00:00"},
        {"createdFrom": 5},
        {"createdFrom": "2026-W01-1T00:00:00Z"},
        {"createdFrom": "2026-01-01 00Z"},
        {"createdFrom": "2026-01-01T00:00:00\0Z"},
        {"createdFrom": "0001-01-01T00:00:00+23:59"},
    ],
)
async def test_scalars_of_another_form_are_refused(client: AsyncClient, where: dict[str, Any]) -> None:
    ada = await sign_up(client)
    body = (await post(client, FILES, ada, where=where)).json()
    assert {error["extensions"]["code"] for error in body["errors"]} == {"BAD_USER_INPUT"}


async def test_scalars_may_be_written_as_literals(client: AsyncClient) -> None:
    ada = await sign_up(client)
    query = '{ files(where: { sizeFrom: 0, createdFrom: "2026-01-01T00:00:00Z" }) { nodes { id } } }'
    assert (await ask(client, query, ada))["files"] == {"nodes": []}
    for literal in ('sizeFrom: "0"', "createdFrom: 5"):
        assert "errors" in (await post(client, f"{{ files(where: {{ {literal} }}) {{ nodes {{ id }} }} }}", ada)).json()


async def test_a_rename_is_judged_like_an_upload(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    cases = {
        "../new name.txt": [],
        "": ["BAD_USER_INPUT"],
        "tool.exe": ["EXTENSION_NOT_ALLOWED"],
        "picture.png": ["MEDIA_TYPE_NOT_ALLOWED"],
        "readme.md": [],
    }
    for name, codes in cases.items():
        payload = (await ask(client, RENAME, ada, input={"id": file["id"], "name": name}))["renameFile"]
        assert [problem["code"] for problem in payload["problems"]] == codes, name
    assert (await ask(client, FILE, ada, id=file["id"]))["file"]["name"] == "readme.md"


async def test_a_stale_rename_is_a_conflict(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    change = {"id": file["id"], "name": "a.txt", "ifRevision": 1}
    assert (await ask(client, RENAME, ada, input=change))["renameFile"]["file"] == {"name": "a.txt", "revision": 2}
    stale = (await ask(client, RENAME, ada, input=change))["renameFile"]
    assert stale["problems"] == [{"code": "CONFLICT", "path": ["ifRevision"], "revision": 2}]


async def test_of_two_renames_at_once_none_is_lost(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    changes = [{"id": file["id"], "name": f"{number}.txt", "ifRevision": 1} for number in range(8)]
    answers = await asyncio.gather(*(ask(client, RENAME, ada, input=change) for change in changes))
    won = [answer for answer in answers if answer["renameFile"]["file"]]
    assert len(won) == 1
    assert (await ask(client, FILE, ada, id=file["id"]))["file"]["revision"] == 2


async def test_purging_removes_rows_and_bytes_and_keeps_the_history(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    kept, gone = await uploaded(client, ada, "kept.txt"), await uploaded(client, ada, "gone.txt")
    results = (await ask(client, PURGE, ada, ids=[gone["id"], "file_nonsense", gone["id"]]))["purgeFiles"]["results"]
    assert [result["id"] for result in results] == [gone["id"], "file_nonsense", gone["id"]]
    assert results[0]["file"] == {"name": "gone.txt"}
    assert results[1]["problems"] == [{"code": "NOT_FOUND"}]
    assert await names(client, ada) == ["kept.txt"]
    assert (await ask(client, FILE, ada, id=kept["id"]))["file"]["name"] == "kept.txt"
    assert len(stored(settings)) == 1
    database = Database(settings.database_url)
    async with database.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(Blob)) == 1
        kinds = await rows.all(select(col(Event.kind)).order_by(col(Event.id)))
    await database.close()
    assert [kind for (kind,) in kinds] == ["user.created", "file.uploaded", "file.uploaded", "file.purged"]


async def test_purging_more_than_a_hundred_is_refused_and_nothing_changes(client: AsyncClient) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    payload = (await ask(client, PURGE, ada, ids=[file["id"]] * 101))["purgeFiles"]
    assert payload == {"results": [], "problems": [{"code": "BAD_USER_INPUT"}]}
    assert await names(client, ada) == ["notes.txt"]
    long = (await ask(client, PURGE, ada, ids=["x" * 65]))["purgeFiles"]
    assert long == {"results": [], "problems": [{"code": "BAD_USER_INPUT"}]}
    too_many = (await post(client, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ada, ids=["x"] * 101)).json()
    assert too_many["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_two_purges_of_one_file_at_once_both_end_well(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada)
    answers = await asyncio.gather(*(ask(client, PURGE, ada, ids=[file["id"]]) for _ in range(5)))
    codes = [answer["purgeFiles"]["results"][0]["problems"] for answer in answers]
    assert [] in codes
    assert all(problems in ([], [{"code": "NOT_FOUND"}]) for problems in codes)
    assert stored(settings) == []


async def test_the_number_of_statements_does_not_grow_with_the_list(client: AsyncClient) -> None:
    ada = await sign_up(client)
    query = """{ files(first: 100) { totalCount nodes {
      id name workspace { name } version { number } downloadUrl
      uploadedBy { username account { personalWorkspace { id } } }
    } } }"""
    counts = {}
    for _ in range(2):
        for number in range(6):
            await uploaded(client, ada, f"{number}.txt")
        with counted() as statements:
            files = (await ask(client, query, ada))["files"]
        counts[len(files["nodes"])] = len(statements)
    assert counts[6] == counts[12]
    assert counts[6] in {6, 7}  # who asks is asked of PostgreSQL's driver, where nobody counts
