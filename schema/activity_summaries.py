"""What a user did in a period, summed up."""

from datetime import date
from uuid import UUID

import strawberry

from domain.analytics import Asked, period_of
from domain.analytics_deltas import day_of
from schema.context import Context
from schema.loaders import present
from schema.scalars import ByteCount, Date, DateTime


@strawberry.type(description="What a user did in a period, in whatever workspaces. Exact at any moment.")
class ActivitySummary:
    """See `domain.activity_summaries`."""

    as_of: DateTime = strawberry.field(description="When it was counted.")
    since: Date = strawberry.field(description="The first day of the period. Days are those of UTC.")
    until: Date = strawberry.field(description="The last day of the period.")
    uploads: int = strawberry.field(description="How many files and new versions the user uploaded.")
    uploaded_bytes: ByteCount = strawberry.field(description="Their bytes.")
    downloads: int = strawberry.field(description="How many downloads of the user ended; told a second late at most.")
    downloaded_bytes: ByteCount = strawberry.field(description="The bytes that were really sent.")


async def activity_summary_of(
    context: Context, user_id: UUID, since: date | None, until: date | None
) -> ActivitySummary:
    """The summary of one user; those of a list are found in one statement. Raises InvalidInput."""
    now = context.ports.clock.now()
    period = period_of(Asked(since, until), day_of(now))
    row = await present(context.loaders.activity_summaries.load((user_id, (period.since, period.until))))
    return ActivitySummary(
        as_of=DateTime(now),
        since=Date(period.since),
        until=Date(period.until),
        uploads=row.uploads,
        uploaded_bytes=ByteCount(row.uploaded),
        downloads=row.downloads,
        downloaded_bytes=ByteCount(row.downloaded),
    )
