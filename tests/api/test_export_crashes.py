"""Kill -9 while exports are made: each that was acknowledged becomes one file, and nothing lies beside them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from httpx2 import AsyncClient, HTTPError
from sqlalchemy import func, select, update
from sqlmodel import col

from db.engine import Database
from db.models import AnalyticsExport, ExportState, File, Job, JobState
from tests.api.test_crashes import QUICK_LEASES, blobs_in
from tests.asking import Account, ask, sign_up
from tests.backstage import changing
from tests.live import Live, serving
from tests.machine import PATIENCE_SECONDS, wait_for

EXPORT = """mutation {
  exportAnalytics(input: { report: USERS, format: CSV }) { export { id } problems { code } }
}"""


async def ask_until_cut(service: Live, asker: Account, acknowledged: set[str]) -> None:
    """Ask for one export after another until the service dies."""
    async with AsyncClient(base_url=service.url, timeout=30) as client:
        while True:
            try:
                payload = (await ask(client, EXPORT, asker))["exportAnalytics"]
            except HTTPError:
                return
            if payload["export"]:
                acknowledged.add(payload["export"]["id"])
            else:
                assert payload["problems"] == [{"code": "TOO_MANY_EXPORTS"}]


async def until_all_have_ended(url: str) -> tuple[dict[str, str], int, int]:
    """The state of each export, how many files they name, and how many files there are."""
    db = Database(url)
    columns = col(AnalyticsExport.id), col(AnalyticsExport.state), col(AnalyticsExport.file_id)
    try:
        async with asyncio.timeout(60):
            while True:
                async with db.reading() as rows:
                    exports = await rows.all(select(*columns))
                    files: int = await rows.scalar(select(func.count()).select_from(File))
                if {row.state for row in exports} <= {ExportState.DONE, ExportState.FAILED}:
                    states = {f"exp_{row.id.hex}": row.state for row in exports}
                    return states, len({row.file_id for row in exports}), files
                await asyncio.sleep(0.1)
    finally:
        await db.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 8, 40])
async def test_every_export_that_was_acknowledged_becomes_one_file(
    database_url: str, tmp_path: Path, number: int
) -> None:
    environment = QUICK_LEASES | {"CAIRN_DATABASE_URL": database_url}
    acknowledged: set[str] = set()
    with serving(tmp_path, environment) as service:
        async with AsyncClient(base_url=service.url, timeout=PATIENCE_SECONDS) as client:
            people = [await sign_up(client, f"user{each}") for each in range(4)]
        asking = [asyncio.create_task(ask_until_cut(service, person, acknowledged)) for person in people]
        while len(acknowledged) < number:  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.001)
        service.kill()
        await asyncio.gather(*asking)
    async with changing(database_url) as tx:
        # As if a minute had passed: the worker that died gives no sign of life.
        is_held = col(Job.state) == JobState.RUNNING
        await tx.execute(update(Job).where(is_held).values(lease_until=datetime(2000, 1, 1, tzinfo=UTC)))
    with serving(tmp_path, environment) as service:
        states, named, files = await until_all_have_ended(database_url)
        assert {*states.values()} == {ExportState.DONE}
        assert acknowledged <= {*states}
        assert named == files == len(states)
        await asyncio.to_thread(wait_for, lambda: blobs_in(service.data_folder) == files, 20)
