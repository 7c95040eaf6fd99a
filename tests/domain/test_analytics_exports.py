"""Exports as they are asked for: by whom, of what, and how many."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import delete, update
from sqlmodel import col
from uuid_utils.compat import uuid7

from db.engine import Transaction
from db.models import ExportFormat, ExportReport, ExportState, Job, JobState, User
from domain import analytics_exports
from domain.analytics import Asked
from domain.analytics_buckets import Interval
from domain.analytics_exports import KEPT, MAXIMUM_WAITING, NewExport, by_ids, request_export
from domain.errors import InvalidInput, NotFound, ScopeMissing, TooManyExports
from domain.scopes import Scope
from domain.viewer import Viewer
from tests.domain.exporting import USERS, job_of, now_of, requested
from tests.records import NOW
from tests.scenes import FACTS, Scene

TODAY = NOW.date()


async def test_whoever_is_signed_in_may_ask(scene: Scene) -> None:
    async def ask(tx: Transaction, viewer: Viewer) -> object:
        return await request_export(tx, scene.ports, viewer, USERS, FACTS)

    others = dict.fromkeys(("stranger", "administrator", "viewer", "editor", "owner"), "ok")
    assert await scene.outcomes(ask) == {"nobody": "NotSignedIn", "disabled": "BadCredential", **others}
    events = [(kind, target) for kind, _, _, target in await scene.events()]
    assert {kind for kind, _ in events} == {"analytics_export.requested"}


async def test_of_a_workspace_whoever_may_know_of_it(scene: Scene) -> None:
    new = replace(USERS, asked=Asked(workspace_id=scene.workspace_id))

    async def ask(tx: Transaction, viewer: Viewer) -> object:
        return await request_export(tx, scene.ports, viewer, new, FACTS)

    others = dict.fromkeys(("administrator", "viewer", "editor", "owner"), "ok")
    refused = {"nobody": "NotSignedIn", "disabled": "BadCredential", "stranger": "NotFound"}
    assert await scene.outcomes(ask) == {**refused, **others}


@pytest.mark.parametrize("scope", [Scope.ANALYTICS_READ, Scope.FILES_WRITE])
async def test_a_key_needs_what_is_read_and_what_is_written(scene: Scene, scope: Scope) -> None:
    key = Viewer(scene.id("owner"), api_key_id=uuid7(), scopes=frozenset(Scope) - {scope})
    with pytest.raises(ScopeMissing) as caught:
        await requested(scene, key)
    assert caught.value.scope == scope


async def test_what_is_asked_for_is_kept_with_its_days(scene: Scene) -> None:
    told = await requested(scene)
    assert (told.state, told.report, told.format) == (ExportState.WAITING, "USERS", "CSV")
    assert (told.since, told.until, told.interval) == (TODAY - timedelta(days=29), TODAY, None)
    assert (told.as_of, told.row_count, told.file_id, told.started_at, told.ended_at) == (None,) * 5
    week = NewExport(ExportReport.STORAGE, ExportFormat.JSON_LINES, Asked(date(2026, 1, 1)), Interval.WEEK)
    told = await requested(scene, new=week)
    assert (told.since, told.interval, told.is_administrator) == (date(2026, 1, 1), "WEEK", False)
    told = await requested(scene, "administrator", replace(week, interval=None))
    assert (told.interval, told.is_administrator) == ("DAY", True)


async def test_what_makes_no_sense_is_refused(scene: Scene) -> None:
    for new, path in (
        (replace(USERS, interval=Interval.DAY), ("interval",)),
        (replace(USERS, asked=Asked(date(2026, 1, 2), date(2026, 1, 1))), ("until",)),
        (replace(USERS, asked=Asked(date(1900, 1, 2))), ("since",)),
    ):
        with pytest.raises(InvalidInput) as caught:
            await requested(scene, new=new)
        assert caught.value.path == path
    for nothing in (uuid7(), scene.people["stranger"].workspace_id):
        with pytest.raises(NotFound):
            await requested(scene, new=replace(USERS, asked=Asked(workspace_id=nothing)))


async def test_so_many_wait_and_no_more_however_many_ask_at_once(scene: Scene) -> None:
    asked = [requested(scene) for _ in range(MAXIMUM_WAITING + 3)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, TooManyExports)]
    assert len(refused) == 3
    assert {each.maximum for each in refused} == {MAXIMUM_WAITING}
    await requested(scene, "editor")  # others have their own


async def test_an_export_is_seen_by_its_user_alone(scene: Scene) -> None:
    export = await requested(scene)
    async with scene.db.reading() as rows:
        assert await by_ids(rows, scene.viewer("owner"), [export.id]) == [export]
        for name in ("nobody", "editor", "stranger", "administrator"):
            assert await by_ids(rows, scene.viewer(name), [export.id]) == []
        with pytest.raises(ScopeMissing):
            await by_ids(rows, Viewer(scene.id("owner"), scopes=frozenset({Scope.FILES_READ})), [export.id])


async def test_an_export_whose_job_was_given_up_has_failed(scene: Scene) -> None:
    gone, waiting = await requested(scene), await requested(scene)
    job = await job_of(scene, gone)
    async with scene.db.transaction() as tx:
        await tx.execute(update(Job).where(col(Job.id) == job.id).values(state=JobState.DEAD))
    await analytics_exports.sweep(scene.db, scene.clock.now())
    failed = await now_of(scene, gone)
    assert (failed.state, failed.ended_at) == (ExportState.FAILED, scene.clock.now())
    assert failed.refusal is not None
    assert failed.refusal["type"] == "Unavailable"
    assert await now_of(scene, waiting) == waiting


async def test_exports_are_forgotten_a_month_after_their_end(scene: Scene) -> None:
    old, waiting = await requested(scene), await requested(scene)
    job = await job_of(scene, old)
    async with scene.db.transaction() as tx:
        await tx.execute(delete(Job).where(col(Job.id) == job.id))
    await analytics_exports.sweep(scene.db, scene.clock.now())
    scene.clock.time += KEPT
    await analytics_exports.sweep(scene.db, scene.clock.now())
    assert (await now_of(scene, old)).state == ExportState.FAILED
    scene.clock.forward(seconds=1)
    await analytics_exports.sweep(scene.db, scene.clock.now())
    async with scene.db.reading() as rows:
        assert await by_ids(rows, scene.viewer("owner"), [old.id, waiting.id]) == [waiting]


async def test_exports_go_with_their_user(scene: Scene) -> None:
    export = await requested(scene, "stranger")
    async with scene.db.transaction() as tx:
        await tx.execute(delete(User).where(col(User.id) == scene.id("stranger")))
    async with scene.db.reading() as rows:
        assert await by_ids(rows, scene.viewer("stranger"), [export.id]) == []
