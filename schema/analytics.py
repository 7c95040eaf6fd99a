"""What is counted, as dashboards show it: every field is a statement or a part of one, however much was counted."""

from enum import Enum
from functools import partial
from typing import Annotated, TypeAlias

import strawberry
from strawberry.dataloader import DataLoader

from db.questions import Page, UserMeasure
from domain.analytics_answers import Answers
from domain.analytics_buckets import Bucket, Series
from domain.analytics_buckets import Interval as Length
from schema.connections import After, Connection, First, PageArguments, connection_of, window_of
from schema.context import Context
from schema.scalars import ByteCount, Date, DateTime
from schema.user_queries import CURSORS, OrderField
from schema.users import User, user_of

_CURSORS = CURSORS[OrderField.CREATED_AT]


@strawberry.enum(description="How long a bucket is.")
class Interval(Enum):
    """The names of `domain.analytics_buckets.Interval`."""

    DAY = strawberry.enum_value("DAY", description="A day of UTC.")
    WEEK = strawberry.enum_value("WEEK", description="A week of ISO 8601, from Monday to Sunday.")
    MONTH = strawberry.enum_value("MONTH", description="A month of the calendar.")


@strawberry.enum(description="What users are compared by.")
class TopUsersBy(Enum):
    """The names of `db.questions.UserMeasure`."""

    BYTES = strawberry.enum_value("BYTES", description="The bytes of the versions that they made and that are there.")
    FILES = strawberry.enum_value("FILES", description="The files that they uploaded and that are there.")
    DOWNLOADS = strawberry.enum_value("DOWNLOADS", description="How often they downloaded in the period.")


@strawberry.type(description="Sums: what there is at the end of the period, and what happened in it.")
class Totals:
    """See `domain.analytics.Totals`."""

    users: int = strawberry.field(description="Accounts; of workspaces, the people who are members now.")
    files: int = strawberry.field(description="The files that there are at the end.")
    bytes: ByteCount = strawberry.field(description="The bytes of all versions that there are at the end.")
    uploads: int = strawberry.field(description="How many files and new versions were uploaded.")
    downloads: int = strawberry.field(description="How many downloads ended.")


@strawberry.type(description="Uploads of a bucket, as far as it lies in the period.")
class UploadPoint:
    """A bucket of uploads."""

    start: Date = strawberry.field(description="The first day of the bucket.")
    files: int = strawberry.field(description="How many files and new versions were uploaded.")
    bytes: ByteCount = strawberry.field(description="Their bytes.")


@strawberry.type(description="Downloads of a bucket, as far as it lies in the period.")
class DownloadPoint:
    """A bucket of downloads."""

    start: Date = strawberry.field(description="The first day of the bucket.")
    downloads: int = strawberry.field(description="How many downloads ended.")
    bytes: ByteCount = strawberry.field(description="The bytes that were really sent.")


@strawberry.type(description="What is held at the end of a bucket, or of the period where that comes first.")
class StoragePoint:
    """A bucket of storage."""

    start: Date = strawberry.field(description="The first day of the bucket.")
    files: int = strawberry.field(description="How many files there are.")
    bytes: ByteCount = strawberry.field(description="The bytes of all versions.")


@strawberry.type(description="What is held of a media type at the end of the period.")
class MediaTypeUsage:
    """See `db.analytics.MediaTypeRow`."""

    media_type: str = strawberry.field(description="Such as `image/png`, found from the bytes.")
    files: int = strawberry.field(description="How many files have it.")
    bytes: ByteCount = strawberry.field(description="The bytes of all versions that have it.")


@strawberry.type(description="What is counted of a user.")
class UserUsage:
    """See `db.analytics_users.UserSumRow`."""

    user: User = strawberry.field(description="The user.")
    files: int = strawberry.field(description="The files that the user uploaded and that are there at the end.")
    bytes: ByteCount = strawberry.field(description="The bytes of the versions that the user made, at the end.")
    downloads: int = strawberry.field(description="How often the user downloaded in the period.")


Every: TypeAlias = Annotated[Interval, strawberry.argument(description="How long a bucket is.")]
Length100: TypeAlias = Annotated[int, strawberry.argument(description="How many at most: 1 to 100.")]


@strawberry.type(
    description="What was counted in a period, exactly; days are of UTC. Answers are kept for some seconds, and "
    "everything that had happened by `asOf` is in all of them."
)
class Analytics:
    """Uploads, downloads, storage and totals are parts of one statement."""

    context: strawberry.Private[Context]
    answers: strawberry.Private[Answers]
    series: strawberry.Private[DataLoader[Length, Series]]
    as_of: DateTime = strawberry.field(description="Everything up to then is counted; of what came later, some may be.")

    @strawberry.field(description="Sums of everything.")
    async def totals(self) -> Totals:
        """One statement more where members are counted."""
        sums = await self.answers.totals(await self.series.load(Length.MONTH))
        return Totals(**sums._asdict())

    @strawberry.field(description="Uploads over time, also when there were none.")
    async def uploads(self, interval: Every = Interval.DAY) -> list[UploadPoint]:
        """Files and new versions."""
        return [
            UploadPoint(
                start=Date(bucket.start), files=bucket.changes.uploads, bytes=ByteCount(bucket.changes.uploaded)
            )
            for bucket in await self._buckets(interval)
        ]

    @strawberry.field(description="Downloads over time, also when there were none.")
    async def downloads(self, interval: Every = Interval.DAY) -> list[DownloadPoint]:
        """At most a second late."""
        return [
            DownloadPoint(
                start=Date(bucket.start), downloads=bucket.changes.downloads, bytes=ByteCount(bucket.changes.downloaded)
            )
            for bucket in await self._buckets(interval)
        ]

    @strawberry.field(description="What is held at the end of each bucket.")
    async def storage(self, interval: Every = Interval.DAY) -> list[StoragePoint]:
        """Bytes of all versions."""
        return [
            StoragePoint(start=Date(bucket.start), files=bucket.held_files, bytes=ByteCount(bucket.held_bytes))
            for bucket in await self._buckets(interval)
        ]

    @strawberry.field(description="The media types that most bytes are held of, at the end of the period.")
    async def by_media_type(self, first: Length100 = 10) -> list[MediaTypeUsage]:
        """One statement."""
        found = await self.answers.media_types(first)
        return [MediaTypeUsage(media_type=row.media_type, files=row.files, bytes=ByteCount(row.bytes)) for row in found]

    @strawberry.field(description="The users with most of something. Who has none of it is left out.")
    async def top_users(
        self,
        by: Annotated[TopUsersBy, strawberry.argument(description="What they are compared by.")] = TopUsersBy.BYTES,
        first: Length100 = 10,
    ) -> list[UserUsage]:
        """Two statements, and one for the users."""
        loaders = self.context.loaders
        sums = await self.answers.top_users(UserMeasure[by.name], first)
        users = await loaders.uploaders.load_many([row.user_id for row in sums])
        return [
            UserUsage(user=user_of(user, loaders), files=row.files, bytes=ByteCount(row.bytes), downloads=row.downloads)
            for row, user in zip(sums, users, strict=True)
            if user is not None
        ]

    @strawberry.field(
        description="Who has neither signed in nor uploaded nor downloaded since the beginning of a day, the oldest "
        "account first. Of members, what they did in these workspaces. `account { usage }` says what they store."
    )
    async def inactive_users(
        self,
        since: Annotated[Date, strawberry.argument(description="The first day on which they did nothing.")],
        first: First = None,
        after: After = None,
    ) -> Connection[User] | None:
        """One statement for the page, one for its users, and one for `totalCount`."""
        answers, loaders = self.answers, self.context.loaders
        window = window_of(PageArguments(first, after, None, None), _CURSORS)
        page = await answers.inactive_page(since, window)
        # Nobody is shown as they were, nor who left meanwhile.
        found = [row for row in await loaders.uploaders.load_many(page.items) if row is not None]
        there = Page(found, page.has_next, page.has_previous)
        return connection_of(there, _CURSORS, lambda row: user_of(row, loaders), partial(answers.count_inactive, since))

    async def _buckets(self, interval: Interval) -> list[Bucket]:
        length = Length[interval.name]
        return (await self.series.load(length)).buckets(length)
