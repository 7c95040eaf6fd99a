"""Reports: the facts that `domain.analytics` answers with, whatever happened, and all of the users."""

from contextlib import aclosing
from random import Random

import pytest

from db import members
from db.analytics import Extent, Period
from db.models import ExportReport
from db.questions import UserMeasure
from domain import analytics, analytics_reports
from domain.analytics import Question
from domain.analytics_buckets import Interval
from domain.analytics_folding import fold
from domain.analytics_reports import COLUMNS, OVER_TIME, read_report
from domain.backends import Backends
from domain.report_formats import Row
from tests.domain.histories import STEPS, History
from tests.records import add_member, add_person
from tests.scenes import Scene

EVENTFUL = Random(11)
LIFE = [(EVENTFUL.choice(STEPS), EVENTFUL.randrange(1000)) for _ in range(80)]


async def read(scene: Scene, question: Question, report: ExportReport, interval: Interval | None = None) -> list[Row]:
    batches = [batch async for batch in read_report(scene.db, question, report, interval)]
    assert all(len(row) == len(COLUMNS[report]) for batch in batches for row in batch)
    return [row for batch in batches for row in batch]


@pytest.mark.parametrize("batch", [2, 500])
async def test_reports_hold_what_analytics_answers(
    scene: Scene, backends: Backends, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(analytics_reports, "BATCH", batch)
    history = History(scene, backends)
    for step, number in LIFE:
        await history.do(step, number)
    for _ in range(2):
        for question in history.questions():
            await compare_days(scene, question)
            await compare_users(scene, question)
        await fold(scene.db)


async def compare_days(scene: Scene, question: Question) -> None:
    async with scene.db.reading() as rows:
        series = await analytics.series(rows, question)
        media_types = await analytics.media_types(rows, question, 100)
    assert await read(scene, question, ExportReport.MEDIA_TYPES) == media_types
    for interval in Interval:
        buckets = series.buckets(interval)
        told = {report: await read(scene, question, report, interval) for report in OVER_TIME}
        assert told == {
            ExportReport.UPLOADS: [(each.start, each.changes.uploads, each.changes.uploaded) for each in buckets],
            ExportReport.DOWNLOADS: [(each.start, each.changes.downloads, each.changes.downloaded) for each in buckets],
            ExportReport.STORAGE: [(each.start, each.held_files, each.held_bytes) for each in buckets],
        }
    assert len(await read(scene, question, ExportReport.UPLOADS)) == len(series.buckets(Interval.DAY))


async def compare_users(scene: Scene, question: Question) -> None:
    told = await read(scene, question, ExportReport.USERS)
    ids = [row[0] for row in told]
    assert ids == sorted(set(ids))
    by_id = {str(row[0]): row[2:] for row in told}
    async with scene.db.reading() as rows:
        for by in UserMeasure:
            top = await analytics.top_users(rows, question, by, 100)
            known = {f"user_{row.user_id.hex}": (row.files, row.bytes, row.downloads) for row in top}
            place = ("files", "bytes", "downloads").index(by)
            assert {key: by_id[key] for key in known} == known
            if by is not UserMeasure.DOWNLOADS:
                assert {key for key, row in by_id.items() if row[place]} == {*known}
        series = await analytics.series(rows, question)
        totals = await analytics.totals(rows, question, series)
    assert len(told) >= totals.users if question.extent.workspace_ids is None else len(told) > 0


async def test_all_members_are_told_of_and_nobody_who_left_and_holds_nothing(scene: Scene, backends: Backends) -> None:
    history = History(scene, backends)
    await history.join(0)
    place, stranger = history.places[0], scene.id("stranger")
    await add_member(scene.db, place, stranger)
    await history.upload(3)
    await history.download(5)
    today = scene.clock.now().date()
    question = Question(Extent((place,)), Period(today, today))
    await add_person(scene.db, "-dash")
    told = {row[1] for row in await read(scene, question, ExportReport.USERS)}
    assert "stranger" in told
    assert len(told) == 2
    everybody = {row[1] for row in await read(scene, Question(Extent(None), question.period), ExportReport.USERS)}
    assert {"stranger", "-dash", "disabled", "owner"} <= everybody
    # Who downloaded there and is no member any more is told of to nobody.
    await history.join(1)
    other = history.people[1]
    history.people.remove(history.people[0])
    await history.download(7)
    assert len(await read(scene, question, ExportReport.USERS)) == 2 + 1
    async with scene.db.transaction() as tx:
        await members.remove(tx, place, other)
    for _ in range(2):
        assert len(await read(scene, question, ExportReport.USERS)) == 2
        await fold(scene.db)


@pytest.mark.parametrize("where", ["everywhere", "in workspaces"])
async def test_users_are_told_of_as_of_one_moment_whatever_happens_while_they_are_read(
    scene: Scene, backends: Backends, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(analytics_reports, "BATCH", 1)
    history = History(scene, backends)
    for step, number in LIFE:
        await history.do(step, number)
    today = scene.clock.now().date()
    extent = Extent(None) if where == "everywhere" else Extent(tuple(history.places))
    question = Question(extent, Period(today.replace(day=1), today))
    before = await read(scene, question, ExportReport.USERS)
    found: list[Row] = []
    async with aclosing(read_report(scene.db, question, ExportReport.USERS, None)) as batches:
        async for batch in batches:
            found += batch
            for step in ("join", "upload", "download", "purge", "fold"):
                await history.do(step, len(found))
    assert found == before
    assert len(found) > 3
    assert await read(scene, question, ExportReport.USERS) != before
    assert {pool.in_use for pool in scene.db.pools().values()} == {0}


async def test_of_no_workspace_there_is_nobody(scene: Scene) -> None:
    today = scene.clock.now().date()
    question = Question(Extent(()), Period(today, today))
    assert await read(scene, question, ExportReport.USERS) == []
    assert await read(scene, question, ExportReport.MEDIA_TYPES) == []
