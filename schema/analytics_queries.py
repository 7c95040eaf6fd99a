"""Asking what was counted."""

from typing import Annotated

import strawberry
from strawberry.dataloader import DataLoader

from domain import analytics
from domain.analytics import Asked
from domain.analytics_answers import Answers
from domain.analytics_buckets import Interval, Series
from domain.analytics_deltas import day_of
from schema.analytics import Analytics
from schema.context import Info
from schema.ids import Prefix, decode
from schema.scalars import Date, DateTime


@strawberry.type
class AnalyticsQueries:
    """What was counted."""

    @strawberry.field(
        description="What was counted: for administrators in the whole service, for others in their workspaces; or in "
        "one workspace. Null where you may not see that."
    )
    async def analytics(
        self,
        info: Info,
        since: Annotated[
            Date | None, strawberry.argument(description="The first day; 29 days before the last by default.")
        ] = None,
        until: Annotated[Date | None, strawberry.argument(description="The last day; today by default.")] = None,
        workspace_id: Annotated[strawberry.ID | None, strawberry.argument(description="Only what is in it.")] = None,
    ) -> Analytics | None:
        """One statement to find out where, unless it is everywhere."""
        context, now = info.context, info.context.ports.clock.now()
        place = None if workspace_id is None else decode(Prefix.WORKSPACE, workspace_id)
        async with context.db.reading() as rows:
            question = await analytics.judge(rows, context.viewer, Asked(since, until, place), day_of(now))
        if question is None:
            return None

        answers = await Answers.begin(context.db, context.statistics, question, now)

        async def load(intervals: list[Interval]) -> list[Series]:
            # What is asked for together comes from one statement, and belongs together.
            finest = Interval.MONTH if set(intervals) == {Interval.MONTH} else Interval.DAY
            return [await answers.series(finest)] * len(intervals)

        return Analytics(context=context, answers=answers, series=DataLoader(load), as_of=DateTime(answers.as_of))
