"""Reports of what is counted, as rows: what `domain.analytics` answers, and of users all of them."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from db import analytics as counts
from db import analytics_people
from db.engine import Database
from db.models import ExportReport
from domain import analytics
from domain.analytics import Question
from domain.analytics_buckets import Bucket, Interval
from domain.report_formats import Row

BATCH = 500
"""So many users are read at a time, so that a report takes as much memory however many there are."""
ALL_MEDIA_TYPES = 100_000
"""More than there can be: every one stands in our tables or in those of libmagic."""

COLUMNS: Mapping[ExportReport, Sequence[str]] = {
    ExportReport.UPLOADS: ("start", "files", "bytes"),
    ExportReport.DOWNLOADS: ("start", "downloads", "bytes"),
    ExportReport.STORAGE: ("start", "files", "bytes"),
    ExportReport.MEDIA_TYPES: ("mediaType", "files", "bytes"),
    ExportReport.USERS: ("userId", "username", "files", "bytes", "downloads"),
}
"""What the cells of a row are, under the names that the API gives them. Sizes are in bytes."""

OVER_TIME = frozenset({ExportReport.UPLOADS, ExportReport.DOWNLOADS, ExportReport.STORAGE})
"""The reports that have a row for each bucket of their period."""


async def read_report(
    db: Database, question: Question, report: ExportReport, interval: Interval | None
) -> AsyncGenerator[Sequence[Row], None]:
    """The rows of a report, in batches: buckets in order, media types by their bytes, users by their ids.

    All of it is as of one moment. Whoever does not read to the end closes it.
    """
    if report is ExportReport.USERS:
        extent, period = question.extent, question.period
        async with db.reading() as rows, analytics_people.everybody(rows, extent, period, BATCH) as people:
            async for some in people:
                yield [(f"user_{user_id.hex}", *told) for user_id, *told in some]
    elif report is ExportReport.MEDIA_TYPES:
        async with db.reading() as rows:
            found = await counts.media_types(rows, question.extent, question.period, ALL_MEDIA_TYPES)
        yield found
    else:
        async with db.reading() as rows:
            series = await analytics.series(rows, question, interval or Interval.DAY)
        yield [_bucket(report, bucket) for bucket in series.buckets(interval or Interval.DAY)]


def _bucket(report: ExportReport, bucket: Bucket) -> Row:
    changes = bucket.changes
    if report is ExportReport.UPLOADS:
        return bucket.start, changes.uploads, changes.uploaded
    if report is ExportReport.DOWNLOADS:
        return bucket.start, changes.downloads, changes.downloaded
    return bucket.start, bucket.held_files, bucket.held_bytes
