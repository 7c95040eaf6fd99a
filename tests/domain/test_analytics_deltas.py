"""What is counted of what happened, and of what had happened before anything was counted."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from db import analytics_deltas
from db.engine import ALEMBIC_INI, Database, migrate
from domain import ledger
from domain.analytics_deltas import count_changes, day_of
from domain.backends import Backends
from domain.events import EventKind
from domain.ledger import Change
from tests.domain.histories import History
from tests.domain.recounting import Recount
from tests.domain.test_analytics import LIFE, compare, compare_days
from tests.records import MovableClock
from tests.scenes import Scene


def signup(user: Any) -> Any:
    kind, at = EventKind.USER_CREATED, user.created_at
    return SimpleNamespace(kind=kind, actor_id=user.id, workspace_id=None, target_id=user.id, size=None, created_at=at)


def uncount(database_url: str) -> None:
    """Go back to before anything was counted."""
    config = Config(ALEMBIC_INI)
    config.attributes["url"] = database_url
    command.downgrade(config, "0013")


async def test_what_is_there_before_anything_is_counted_is_counted_from_the_raw_rows(
    scene: Scene, backends: Backends, database_url: str
) -> None:
    history = History(scene, backends)
    for step, number in LIFE:
        await history.do(step, number)
    recount = await Recount.of(scene.db)
    told = {event.actor_id for event in recount.events if event.kind == EventKind.USER_CREATED}
    # The people of the scene signed up without an event, and are counted all the same.
    recount.events = [*(signup(user) for user in recount.users.values() if user.id not in told), *recount.events]
    await scene.db.close()
    await asyncio.to_thread(uncount, database_url)
    await asyncio.to_thread(migrate, database_url)
    async with scene.db.reading() as rows:
        assert not await analytics_deltas.is_any(rows)
    for question in history.questions():
        await compare_days(scene, recount, question)
        if question.period.until == scene.clock.now().date():
            await compare(scene, recount, question)


class Hurrying(MovableClock):
    """A clock on which a day goes by between two looks."""

    def now(self) -> datetime:
        self.forward(hours=25)
        return self.time


async def test_what_is_counted_has_the_day_of_its_event_however_long_a_verb_takes(
    scene: Scene, backends: Backends
) -> None:
    clock = Hurrying(scene.clock.now())
    ports = replace(scene.ports, clock=clock)
    history = History(replace(scene, ports=ports, clock=clock), replace(backends, ports=ports))
    for step, number in LIFE:
        await history.do(step, number)
    recount = await Recount.of(scene.db)
    for question in history.questions():
        await compare_days(scene, recount, question)


async def test_what_changes_the_same_is_one_delta_and_what_is_only_reserved_none(scene: Scene) -> None:
    change = Change(scene.workspace_id, scene.id("owner"), used=5, files=1, media_type="text/plain", uploads=1)
    reserved = Change(scene.workspace_id, scene.id("owner"), reserved=9)
    now = scene.clock.now()
    async with scene.db.transaction() as tx:
        await count_changes(tx, [change, change, reserved], now)
        await count_changes(tx, [reserved], now)
        [delta] = await analytics_deltas.take(tx, 100)
    assert delta.subject == (now.date(), scene.workspace_id, scene.id("owner"), "text/plain")
    assert delta.numbers == (2, 10, 2, 10, 0, 0, 0, 0)


def test_a_day_is_one_of_utc() -> None:
    early = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert day_of(early) == day_of(early.astimezone(UTC)) == datetime(2025, 12, 31, tzinfo=UTC).date()


async def test_nothing_is_counted_of_what_is_rolled_back(db: Database, scene: Scene) -> None:
    change = Change(scene.workspace_id, None, used=-5)

    async def count() -> None:
        async with db.transaction() as tx:
            await count_changes(tx, [change], scene.clock.now())
            await ledger.post(tx, scene.ports.workspace_policy, [change])

    with pytest.raises(RuntimeError, match="below nothing"):
        await count()
    async with db.reading() as rows:
        assert not await analytics_deltas.is_any(rows)


async def test_a_file_that_becomes_one_of_another_type_is_counted_there(scene: Scene, backends: Backends) -> None:
    history = History(scene, backends)
    await history.do("join", 1)
    for number in range(12):
        await history.do("upload" if number % 3 == 0 else "replace", number)
        await history.do("restore", number)
    assert len({file.media_type for versions in history.there.values() for file in versions}) == 2
    recount = await Recount.of(scene.db)
    for question in history.questions():
        await compare(scene, recount, question)
