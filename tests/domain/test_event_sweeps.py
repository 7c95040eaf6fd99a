"""History that is removed, while what was counted of it stays."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from db.analytics import Extent, Period
from db.models import Event
from domain import analytics, event_sweeps
from domain.analytics import Question
from domain.backends import Backends
from domain.event_sweeps import sweep_events
from tests.domain.histories import History
from tests.scenes import Scene


async def test_old_events_go_in_small_batches_and_what_was_counted_stays(
    scene: Scene, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_sweeps, "BATCH", 2)
    history = History(scene, backends)
    for step in ("join", "upload", "download", "login", "upload"):
        await history.do(step, 5)
    before = scene.clock.now() + timedelta(hours=1)
    await history.wait(30)
    await history.upload(6)
    question = Question(Extent(None), Period(before.date(), scene.clock.now().date()))
    async with scene.db.reading() as rows:
        counted = await analytics.series(rows, question)
    await sweep_events(scene.db, before)
    async with scene.db.reading() as rows:
        assert await rows.scalar(select(func.count()).select_from(Event)) == 1
        assert await analytics.series(rows, question) == counted
    assert counted.within.uploads == 3
