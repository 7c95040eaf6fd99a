"""What users did, summed up: everybody's own, exact whatever happened and whatever is folded."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from db.rows import ActivitySummaryRow
from domain.activity_summaries import summaries_of
from domain.analytics_folding import fold
from domain.backends import Backends
from domain.errors import NotSignedIn, ScopeMissing
from domain.events import EventKind
from domain.scopes import Scope
from domain.viewer import NOBODY, Viewer
from tests.domain.histories import History
from tests.domain.recounting import UPLOADED, Recount
from tests.domain.test_analytics import LIFE
from tests.scenes import Scene

YEAR = timedelta(days=366)


def recounted(recount: Recount, user_id: UUID, since: date, until: date) -> ActivitySummaryRow:
    own = [event for event in recount.events if event.actor_id == user_id and since <= event.created_at.date() <= until]
    came = [event.size for event in own if event.kind in UPLOADED]
    went = [event.size for event in own if event.kind == EventKind.FILE_DOWNLOADED]
    return ActivitySummaryRow(user_id, len(came), sum(came), len(went), sum(went))


async def test_summaries_are_what_the_raw_rows_say_before_and_after_folding(scene: Scene, backends: Backends) -> None:
    history, boss = History(scene, backends), scene.viewer("administrator")
    for step, number in LIFE:
        await history.do(step, number)
    recount = await Recount.of(scene.db)
    today = scene.clock.now().date()
    for _ in range(2):
        for since, until in ((today - YEAR, today), (today - timedelta(days=9), today - timedelta(days=2))):
            expected = {user_id: recounted(recount, user_id, since, until) for user_id in history.people}
            async with scene.db.reading() as rows:
                assert await summaries_of(rows, boss, history.people, (since, until)) == expected
            assert any(row.uploads and row.downloads for row in expected.values())
        await fold(scene.db)


async def test_everybody_is_told_their_own_and_administrators_all(scene: Scene) -> None:
    ids, today = [scene.id("owner"), scene.id("editor")], scene.clock.now().date()
    async with scene.db.reading() as rows:
        assert [*await summaries_of(rows, scene.viewer("owner"), ids, (today, today))] == ids[:1]
        assert await summaries_of(rows, scene.viewer("stranger"), ids, (today, today)) == {}
        told = await summaries_of(rows, scene.viewer("administrator"), ids, (today, today))
        assert told == {user_id: ActivitySummaryRow(user_id) for user_id in ids}
        with pytest.raises(NotSignedIn):
            await summaries_of(rows, NOBODY, ids, (today, today))
        key = Viewer(ids[0], scopes=frozenset({Scope.ANALYTICS_READ}))
        with pytest.raises(ScopeMissing):
            await summaries_of(rows, key, ids, (today, today))
