"""Reports of what is counted, as rows: what `domain.analytics` answers, and of users all of them, page by page."""

from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import UUID

from db import analytics as counts
from db import analytics_people
from db.analytics_users import UserSumRow, sums_of
from db.engine import Database
from db.models import ExportReport
from domain import analytics
from domain.analytics import Question
from domain.analytics_buckets import Bucket, Interval
from domain.report_formats import Row

PAGE = 500
"""Of so many users at a time is asked, so that a report takes as much memory however many there are."""
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
) -> AsyncIterator[Sequence[Row]]:
    """The rows of a report, in batches: buckets in order, media types by their bytes, users by their ids.

    Each batch is as of one moment.
    """
    if report is ExportReport.USERS:
        async for batch in _users(db, question):
            yield batch
    elif report is ExportReport.MEDIA_TYPES:
        async with db.reading() as rows:
            found = await counts.media_types(rows, question.extent, question.period.until, ALL_MEDIA_TYPES)
        yield found
    else:
        async with db.reading() as rows:
            series = await analytics.series(rows, question)
        yield [_bucket(report, bucket) for bucket in series.buckets(interval or Interval.DAY)]


def _bucket(report: ExportReport, bucket: Bucket) -> Row:
    changes = bucket.changes
    if report is ExportReport.UPLOADS:
        return bucket.start, changes.uploads, changes.uploaded
    if report is ExportReport.DOWNLOADS:
        return bucket.start, changes.downloads, changes.downloaded
    return bucket.start, bucket.held_files, bucket.held_bytes


async def _users(db: Database, question: Question) -> AsyncIterator[Sequence[Row]]:
    after = UUID(int=0)
    while True:
        async with db.reading() as rows:
            people = await analytics_people.page(rows, question.extent, after, PAGE)
            ids = [person.id for person in people]
            found = await sums_of(rows, question.extent, question.period, ids) if ids else []
        sums = {row.user_id: row for row in found}
        held = [(person, sums.get(person.id, UserSumRow(person.id, 0, 0, 0))) for person in people]
        # In workspaces, who was a member and left nothing there is not told of, as `topUsers` has it.
        yield [
            (f"user_{person.id.hex}", person.username, sum_.files, sum_.bytes, sum_.downloads)
            for person, sum_ in held
            if person.is_told_of or sum_.files or sum_.bytes
        ]
        if len(people) < PAGE:
            return
        after = people[-1].id
