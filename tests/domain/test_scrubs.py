"""What a disk changed or lost is found by itself, and gently."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.models import BlobDamage, Job
from db.rows import JobRow
from domain import scrubs
from domain.backends import Backends
from domain.policy import StoragePolicy
from domain.scrubs import SCRUB_JOB, Throttle, request_scrub, scrub_by_job
from tests.domain.keeping import events_of, flip, kept, lying, mark, record_of, stored
from tests.scenes import Scene

POLICY = StoragePolicy(timedelta(0), timedelta(days=90), timedelta(days=7), 1 << 40)
JOB = JobRow(uuid7(), SCRUB_JOB, {}, 1, None)


async def damage_of(backends: Backends, key: str) -> str | None:
    record = await record_of(backends, key)
    assert record is not None
    return record.damage


async def asked_for(backends: Backends, policy: StoragePolicy = POLICY) -> int:
    """How many jobs there are once one was asked for."""
    await request_scrub(backends, policy)
    async with backends.db.reading() as rows:
        return len(await rows.all(select(col(Job.id)).where(col(Job.kind) == SCRUB_JOB)))


async def test_a_flipped_bit_and_lost_bytes_are_found_once_they_are_due(
    backends: Backends, scene: Scene, tmp_path: Path
) -> None:
    fine, flipped, missing = [await kept(backends, scene.people["owner"]) for _ in range(3)]
    flip(tmp_path / "data", flipped)
    lying(tmp_path / "data", missing).unlink()
    await scrub_by_job(backends, POLICY, JOB)
    assert await damage_of(backends, flipped) is None, "it was read when it came"
    scene.clock.forward(days=8)
    await scrub_by_job(backends, POLICY, JOB)
    damages = [await damage_of(backends, key) for key in (fine, flipped, missing)]
    assert damages == [None, BlobDamage.DIGEST, BlobDamage.MISSING]
    assert len(await events_of(backends, "file.damaged")) == 2


async def test_the_longest_unread_comes_first_and_none_before_it_is_due(backends: Backends, scene: Scene) -> None:
    read: list[str] = []
    real = backends.store.sum_up

    async def noted(key: str, pace: object) -> object:
        read.append(key)
        return await real(key, pace)  # type: ignore[arg-type]

    never, long_ago, lately, removed = [await kept(backends, scene.people["owner"]) for _ in range(4)]
    now = scene.clock.now()
    await mark(backends, long_ago, verified_at=now - timedelta(days=20))
    await mark(backends, lately, verified_at=now - timedelta(days=1))
    await mark(backends, removed, verified_at=now - timedelta(days=30), deleted_at=now)
    scene.clock.forward(days=7)
    backends.store.sum_up = noted  # type: ignore[assignment, method-assign]
    await scrub_by_job(backends, POLICY, JOB)
    assert read == [never, long_ago, lately]


async def test_what_has_its_size_again_is_read_and_is_whole_or_not(
    backends: Backends, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubs, "BATCH", 1)
    restored, wrong, missing, flipped = [await kept(backends, scene.people["owner"]) for _ in range(4)]
    flip(tmp_path / "data", flipped)
    for key in (restored, wrong, missing):
        lying(tmp_path / "data", key).unlink()
    scene.clock.forward(days=8)
    await scrub_by_job(backends, POLICY, JOB)
    assert await asked_for(backends) == 0
    await stored(backends, b"a few words\n", restored)
    await stored(backends, b"other words\n", wrong)
    assert await asked_for(backends) == 1
    await scrub_by_job(backends, POLICY, JOB)
    damages = [await damage_of(backends, key) for key in (restored, wrong, missing, flipped)]
    assert damages == [None, BlobDamage.DIGEST, BlobDamage.MISSING, BlobDamage.DIGEST]
    assert len(await events_of(backends, "file.mended")) == 1


async def test_a_job_is_asked_for_when_there_is_something_to_do(backends: Backends, scene: Scene) -> None:
    await kept(backends, scene.people["owner"])
    assert await asked_for(backends) == 0
    scene.clock.forward(days=8)
    assert await asked_for(backends, replace(POLICY, scrub_bytes=0)) == 0
    for _ in range(2):
        assert await asked_for(backends) == 1


async def test_a_disk_that_is_away_is_not_taken_for_so_many_lost_files(
    backends: Backends, scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubs, "MOST_DAMAGED", 2)
    for _ in range(5):
        lying(tmp_path / "data", await kept(backends, scene.people["owner"])).unlink()
    scene.clock.forward(days=8)
    await scrub_by_job(backends, POLICY, JOB)
    assert len(await events_of(backends, "file.damaged")) == 2


async def test_a_job_ends_after_its_time(backends: Backends, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await kept(backends, scene.people["owner"])
    scene.clock.forward(days=8)
    monkeypatch.setattr(scrubs, "SLICE", timedelta(0))
    await scrub_by_job(backends, POLICY, JOB)
    assert await asked_for(backends) == 1


async def test_no_more_bytes_pass_than_may() -> None:
    throttle, begin = Throttle(1_000_000), asyncio.get_running_loop().time()
    for _ in range(6):
        await throttle.let_pass(50_000)
    assert asyncio.get_running_loop().time() - begin >= 0.24
