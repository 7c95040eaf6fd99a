"""Checks that administrators ask for: one at a time, and gone on with by whoever comes after a dead worker."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db import storage_checks
from db.engine import Transaction
from db.models import Job, JobState, StorageCheckState
from db.questions import Window
from db.rows import JobRow, StorageCheckRow
from domain import storage_check_jobs
from domain.backends import Backends
from domain.policy import StoragePolicy
from domain.storage_check_jobs import CHECK_JOB, NewCheck, by_ids, check_by_job, count, page, request_check
from domain.storage_sweeps import sweep_checks
from domain.viewer import Viewer
from storage.store import StoreError
from tests.domain.keeping import flip, kept, lying
from tests.scenes import FACTS, Scene

POLICY = StoragePolicy(timedelta(0), timedelta(days=90), timedelta(days=7), 1 << 40)


async def requested(scene: Scene, *, repairs: bool = False, digests: bool = False) -> StorageCheckRow:
    async with scene.db.transaction() as tx:
        return await request_check(tx, scene.ports, scene.viewer("administrator"), NewCheck(repairs, digests), FACTS)


async def jobs_of(scene: Scene) -> list[JobRow]:
    columns = col(Job.id), col(Job.kind), col(Job.payload), col(Job.attempts), col(Job.leased_by)
    async with scene.db.reading() as rows:
        found = await rows.all(select(*columns).where(col(Job.kind) == CHECK_JOB).order_by(col(Job.id)))
    return [JobRow._make(row) for row in found]


async def now_of(scene: Scene, check: StorageCheckRow) -> StorageCheckRow:
    async with scene.db.reading() as rows:
        [found] = await by_ids(rows, scene.viewer("administrator"), [check.id])
    return found


async def test_administrators_alone_may_ask_for_a_check(scene: Scene) -> None:
    async def ask(tx: Transaction, viewer: Viewer) -> object:
        return await request_check(tx, scene.ports, viewer, NewCheck(repairs=True, digests=True), FACTS)

    others = dict.fromkeys(("disabled", "stranger", "viewer", "editor", "owner"), "AdministratorsOnly")
    assert await scene.outcomes(ask) == {"nobody": "NotSignedIn", "administrator": "ok", **others}
    assert [kind for kind, *_ in await scene.events()] == ["storage_check.requested"]


async def test_administrators_alone_see_checks(scene: Scene) -> None:
    check = await requested(scene)
    async with scene.db.reading() as rows:
        assert await by_ids(rows, scene.viewer("administrator"), [check.id]) == [check]
        for name in ("nobody", "owner"):
            assert await by_ids(rows, scene.viewer(name), [check.id]) == []
        found = await page(rows, scene.viewer("administrator"), Window(10))
        assert list(found.items) == [check]
        assert await count(rows, scene.viewer("administrator")) == 1


async def test_a_check_says_what_it_saw_and_found(backends: Backends, scene: Scene, tmp_path: Path) -> None:
    first, second = [await kept(backends, scene.people["owner"]) for _ in range(2)]
    lying(tmp_path / "data", first).unlink()
    flip(tmp_path / "data", second)
    check = await requested(scene, digests=True)
    assert (check.state, check.started_at) == (StorageCheckState.WAITING, None)
    [job] = await jobs_of(scene)
    await check_by_job(backends, POLICY, job)
    done = await now_of(scene, check)
    assert (done.state, done.blobs_seen, done.blobs_total, done.bytes_hashed) == (StorageCheckState.DONE, 2, 2, 12)
    assert done.counts == {"MISSING": [1, 0], "DIGEST_MISMATCH": [1, 0]}
    assert {finding["subject"] for finding in done.findings} == {first, second}
    assert None not in {done.started_at, done.ended_at}
    await check_by_job(backends, POLICY, job)
    assert await now_of(scene, check) == done, "a job that comes again finds nothing to do"


async def test_who_asks_for_another_is_given_the_one_under_way(scene: Scene) -> None:
    checks = await asyncio.gather(*(requested(scene, repairs=number > 0) for number in range(4)))
    assert len({check.id for check in checks}) == 1
    assert len(await jobs_of(scene)) == 1


async def test_a_check_that_ends_while_another_is_asked_for_is_not_given(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await requested(scene)
    real = storage_checks.live

    async def ended_meanwhile(tx: Any) -> StorageCheckRow | None:
        values = {"state": StorageCheckState.DONE}
        await storage_checks.end(tx, first.id, values)
        return await real(tx)

    monkeypatch.setattr(storage_checks, "live", ended_meanwhile)
    assert (await requested(scene)).id != first.id
    assert backends.db is scene.db


async def test_a_check_whose_worker_died_is_gone_on_with(
    backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = sorted([await kept(backends, scene.people["owner"]) for _ in range(4)])
    lying(tmp_path / "data", keys[0]).unlink()
    check = await requested(scene, digests=True)
    [job] = await jobs_of(scene)
    real = backends.store.sum_up

    async def dying(key: str, pace: Any) -> Any:
        if key == keys[2]:
            raise StoreError("killed")
        scene.clock.forward(seconds=2)  # enough for progress to be kept
        return await real(key, pace)

    monkeypatch.setattr(backends.store, "sum_up", dying)
    with pytest.raises(StoreError):
        await check_by_job(backends, POLICY, job)
    half = await now_of(scene, check)
    assert (half.state, half.position, half.blobs_seen) == (StorageCheckState.RUNNING, keys[0], 1)
    monkeypatch.undo()
    await check_by_job(backends, POLICY, job)
    done = await now_of(scene, check)
    assert (done.state, done.blobs_seen, done.counts) == (StorageCheckState.DONE, 4, {"MISSING": [1, 0]})
    assert done.started_at == half.started_at


async def test_a_check_whose_job_was_given_up_has_failed_and_makes_way(scene: Scene, backends: Backends) -> None:
    first = await requested(scene)
    await sweep_checks(scene.db, scene.clock.now())
    assert (await now_of(scene, first)).state == StorageCheckState.WAITING
    async with scene.db.transaction() as tx:
        await tx.execute(update(Job).values(state=JobState.DEAD))
    await sweep_checks(scene.db, scene.clock.now())
    assert (await now_of(scene, first)).state == StorageCheckState.FAILED
    await sweep_checks(scene.db, scene.clock.now())
    second = await requested(scene)
    async with scene.db.transaction() as tx:
        await tx.execute(update(Job).values(state=JobState.DEAD))
    third = await requested(scene)
    assert len({first.id, second.id, third.id}) == 3
    assert (await now_of(scene, second)).state == StorageCheckState.FAILED
    unknown = JobRow(uuid7(), CHECK_JOB, {"checkId": uuid7().hex}, 1, None)
    await storage_check_jobs.check_by_job(replace(backends), POLICY, unknown)
