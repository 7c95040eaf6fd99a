"""Checks of the storage through the front door."""

from httpx2 import AsyncClient
from sqlalchemy import update
from uuid_utils.compat import uuid7

from api.parts import parts_of
from api.settings import Settings
from db.models import StorageCheck, StorageCheckState
from db.rows import JobRow
from domain.storage_check_jobs import check_by_job
from tests.api.test_damaged_files import CHECK, CHECKED, blobs_in
from tests.asking import ask, post, sign_up, uploaded
from tests.backstage import changing
from tests.domain.test_storage_check_jobs import POLICY
from tests.schema.test_administration import administrator

LIST = "{ storageChecks(first: 1) { totalCount nodes { id } pageInfo { hasNextPage } } }"
NODE = "query ($id: ID!) { node(id: $id) { id ... on StorageCheck { state } } }"


async def test_an_administrator_follows_a_check(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    await uploaded(client, ada)
    [blob] = blobs_in(settings.data_folder)
    blob.unlink()
    started = (await ask(client, CHECK, boss, input={"repair": True}))["checkStorage"]
    again = (await ask(client, CHECK, boss, input={"digests": True}))["checkStorage"]
    assert started == again == {"storageCheck": {"id": again["storageCheck"]["id"], "state": "WAITING"}, "problems": []}
    check_id = started["storageCheck"]["id"]
    parts = parts_of(settings)
    await parts.store.open()
    job = JobRow(uuid7(), "storage.check", {"checkId": check_id[4:]}, 1, None)
    await check_by_job(parts.backends, POLICY, job)
    await parts.store.close()
    await parts.db.close()
    parts.hasher.close()
    found = (await ask(client, CHECKED, boss, id=check_id))["storageCheck"]
    assert None not in {found.pop("startedAt"), found.pop("endedAt")}
    assert found == {
        "state": "DONE",
        "repair": True,
        "digests": False,
        "blobsSeen": 1,
        "blobsTotal": 1,
        "bytesHashed": 0,
        "counts": [{"kind": "MISSING", "found": 1, "repaired": 0}],
        "findings": [
            {
                "kind": "MISSING",
                "subject": blob.name,
                "size": 12,
                "detail": "The bytes of a file are not there.",
                "repaired": False,
            }
        ],
    }
    assert (await ask(client, NODE, boss, id=check_id))["node"] == {"id": check_id, "state": "DONE"}
    second = (await ask(client, CHECK, boss, input={}))["checkStorage"]["storageCheck"]
    assert (await ask(client, LIST, boss))["storageChecks"] == {
        "totalCount": 2,
        "nodes": [{"id": second["id"]}],
        "pageInfo": {"hasNextPage": True},
    }


async def test_findings_without_a_size_are_told(client: AsyncClient, settings: Settings) -> None:
    boss = await administrator(client, settings)
    started = (await ask(client, CHECK, boss, input={}))["checkStorage"]["storageCheck"]
    kept = {"kind": "LEDGER_DIFFERENCE", "subject": "x", "detail": "y", "size": None, "is_repaired": True}
    async with changing(settings.database_url) as tx:
        await tx.execute(update(StorageCheck).values(findings=[kept], state=StorageCheckState.FAILED))
    found = (await ask(client, CHECKED, boss, id=started["id"]))["storageCheck"]
    assert found["findings"] == [
        {"kind": "LEDGER_DIFFERENCE", "subject": "x", "detail": "y", "size": None, "repaired": True}
    ]


async def test_what_is_no_check_is_null_and_others_have_no_right(client: AsyncClient, settings: Settings) -> None:
    boss, ada = await administrator(client, settings), await sign_up(client)
    for absent in ("chk_" + "0" * 32, boss.id, "x"):
        assert (await ask(client, CHECKED, boss, id=absent))["storageCheck"] is None
    for query, given in ((CHECKED, {"id": "chk_x"}), (LIST, {}), (CHECK, {"input": {}})):
        body = (await post(client, query, ada, **given)).json()
        assert body["errors"][0]["extensions"]["code"] == "FORBIDDEN"
