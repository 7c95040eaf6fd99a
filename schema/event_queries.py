"""The audit log."""

from typing import Annotated

import strawberry

from domain import events
from schema.connections import After, Before, Connection, First, Last, PageArguments, connection_of, window_of
from schema.context import Info
from schema.events import CURSORS, Event, EventWhere, event_of, filter_of


@strawberry.type
class EventQueries:
    """What happened."""

    @strawberry.field(description="What happened in the whole service, the newest first. Administrators only.")
    async def audit_log(
        self,
        info: Info,
        where: Annotated[EventWhere | None, strawberry.argument(description="Which events.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Event] | None:
        """One statement for the page, and one for `totalCount`."""
        context, loaders = info.context, info.context.loaders
        context.viewer.administering()
        event_filter = filter_of(where or EventWhere())
        window = window_of(PageArguments(first, after, last, before), CURSORS)

        async def count() -> int:
            async with context.db.reading() as rows:
                return await events.count(rows, context.viewer, event_filter)

        async with context.db.reading() as rows:
            page = await events.page(rows, context.viewer, event_filter, window)
        return connection_of(page, CURSORS, lambda row: event_of(row, loaders), count)
