"""Events as an account shows them, and that every kind of event can be shown."""

import pytest
from graphql import GraphQLEnumType
from httpx2 import AsyncClient
from uuid_utils.compat import uuid7

from api.settings import Settings
from db.engine import Database
from db.rows import EventRow
from domain import events
from domain.viewer import NOBODY
from schema.event_kinds import EventKind
from schema.events import event_of
from schema.ids import Prefix, encode
from schema.loaders import Loaders
from schema.schema import build_schema
from tests.asking import ask, post, sign_up, uploaded
from tests.records import NOW, MovableClock
from tests.schema.test_administration import administrator

ACTIVITY = """query ($where: EventWhere) { viewer { account { activity(where: $where) {
  totalCount nodes { kind targetId size data actor { username } workspace { name } }
} } } }"""


def test_every_kind_of_event_has_a_name_and_a_description_for_readers() -> None:
    assert {kind.name for kind in EventKind} == {kind.name for kind in events.EventKind}
    shown = build_schema()._schema.type_map["EventKind"]
    assert isinstance(shown, GraphQLEnumType)
    assert all(value.description for value in shown.values.values())


@pytest.mark.parametrize("kind", list(events.EventKind))
async def test_every_kind_of_event_can_be_shown_with_its_target(kind: events.EventKind, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    row = EventRow(uuid7(), kind, None, None, uuid7(), None, None, None, None, NOW, is_member=False)
    shown = event_of(row, Loaders(database, NOBODY, MovableClock()))
    assert shown.kind.name == kind.name
    assert shown.target_id
    await database.close()


async def test_an_account_tells_what_its_person_did(client: AsyncClient) -> None:
    ada = await sign_up(client)
    await sign_up(client, "grace")
    file = await uploaded(client, ada)
    await ask(
        client,
        'mutation ($id: ID!) { renameFile(input: { id: $id, name: "b.txt" }) { problems { code } } }',
        ada,
        id=file["id"],
    )
    activity = (await ask(client, ACTIVITY, ada))["viewer"]["account"]["activity"]
    assert activity["totalCount"] == 3
    renamed, uploaded_event, created = activity["nodes"]
    assert renamed == {
        "kind": "FILE_RENAMED",
        "targetId": file["id"],
        "size": None,
        "data": {"from": "notes.txt", "to": "b.txt"},
        "actor": {"username": "ada"},
        "workspace": {"name": "Personal"},
    }
    assert uploaded_event["data"] == {"mediaType": "text/plain"}
    assert (created["kind"], created["targetId"]) == ("USER_CREATED", ada.id)
    some = (await ask(client, ACTIVITY, ada, where={"kinds": ["FILE_UPLOADED"]}))["viewer"]["account"]["activity"]
    assert (some["totalCount"], len(some["nodes"])) == (1, 1)
    other = (await ask(client, ACTIVITY, ada, where={"actorId": "user_" + "0" * 32}))["viewer"]["account"]["activity"]
    assert (other["totalCount"], other["nodes"]) == (0, [])


async def test_what_others_did_is_told_to_administrators_alone(client: AsyncClient, settings: Settings) -> None:
    boss, ada, grace = await administrator(client, settings), await sign_up(client), await sign_up(client, "grace")
    query = "query ($id: ID!) { node(id: $id) { ... on User { account { activity { nodes { kind } } } } } }"
    told = (await ask(client, query, boss, id=ada.id))["node"]["account"]["activity"]["nodes"]
    assert told == [{"kind": "USER_CREATED"}]
    assert (await ask(client, query, grace, id=ada.id))["node"] is None
    assert (await post(client, query, id=ada.id)).json()["data"]["node"] is None


async def test_ids_in_details_are_written_as_everywhere(sqlite_url: str) -> None:
    database, version = Database(sqlite_url), uuid7()
    data = {"versionId": str(version), "mediaType": "text/plain"}
    row = EventRow(uuid7(), "file.downloaded", None, None, None, 5, data, None, None, NOW, is_member=True)
    shown = event_of(row, Loaders(database, NOBODY, MovableClock()))
    assert shown.data == {"versionId": encode(Prefix.VERSION, version), "mediaType": "text/plain"}
    assert shown.target_id is None
    await database.close()
