"""Reports of what is counted, as whoever had them made sees them."""

from enum import Enum

import strawberry

from db.rows import AnalyticsExportRow
from domain.upload_ends import read
from schema.analytics import Interval
from schema.files import File, file_of
from schema.ids import Prefix, encode
from schema.loaders import Loaders
from schema.nodes import Node
from schema.problems import Problem, problem_of
from schema.scalars import Date, DateTime
from schema.workspaces import Workspace, workspace_of


@strawberry.enum(description="What a report is of.")
class ExportReport(Enum):
    """The names of `db.models.ExportReport`; the columns are those of `domain.analytics_reports`."""

    UPLOADS = strawberry.enum_value("UPLOADS", description="Uploads over time: `start`, `files`, `bytes`.")
    DOWNLOADS = strawberry.enum_value("DOWNLOADS", description="Downloads over time: `start`, `downloads`, `bytes`.")
    STORAGE = strawberry.enum_value(
        "STORAGE", description="What is held at the end of each bucket: `start`, `files`, `bytes`."
    )
    MEDIA_TYPES = strawberry.enum_value(
        "MEDIA_TYPES",
        description="What is held at the end, by media type, the most first: `mediaType`, `files`, `bytes`.",
    )
    USERS = strawberry.enum_value(
        "USERS",
        description="All users, in workspaces the members and whoever holds something there: `userId`, `username`, "
        "`files`, `bytes` held at the end, and `downloads` in the period.",
    )


@strawberry.enum(description="How a report is written: in UTF-8, with the same names and values in both.")
class ExportFormat(Enum):
    """The names of `db.models.ExportFormat`."""

    CSV = strawberry.enum_value(
        "CSV",
        description="As RFC 4180 has it, with a first row of names. A text that a spreadsheet would take for a formula "
        "begins with an apostrophe.",
    )
    JSON_LINES = strawberry.enum_value("JSON_LINES", description="A JSON object on each line.")


@strawberry.enum(description="Where an export stands.")
class ExportState(Enum):
    """The states of exports."""

    WAITING = strawberry.enum_value("WAITING", description="It is asked for, and no worker has begun.")
    RUNNING = strawberry.enum_value("RUNNING", description="It is being made.")
    DONE = strawberry.enum_value("DONE", description="It is a file.")
    FAILED = strawberry.enum_value("FAILED", description="It became no file: `problems` say why.")


@strawberry.type(description="A report of what is counted, made as a file. Remembered for 30 days after its end.")
class AnalyticsExport(Node):
    """An export of the viewer's."""

    row: strawberry.Private[AnalyticsExportRow]
    loaders: strawberry.Private[Loaders]
    state: ExportState = strawberry.field(description="Where it stands.")
    report: ExportReport = strawberry.field(description="What it is of.")
    format: ExportFormat = strawberry.field(description="How it is written.")
    since: Date = strawberry.field(description="The first day of its period. Days are those of UTC.")
    until: Date = strawberry.field(description="The last day of its period.")
    interval: Interval | None = strawberry.field(description="How long its buckets are; null where it has none.")
    created_at: DateTime = strawberry.field(description="When it was asked for.")
    started_at: DateTime | None = strawberry.field(description="When a worker began; null before.")
    ended_at: DateTime | None = strawberry.field(description="When it ended; null before.")
    as_of: DateTime | None = strawberry.field(
        description="When it was read, all of it as of one moment: it says what `analytics` said then."
    )
    rows: int | None = strawberry.field(description="How many rows it has, without that of the names; null before.")

    @strawberry.field(description="The workspace that it is of; null for all, and where it is not yours to see.")
    async def workspace(self) -> Workspace | None:
        """Seen by members and administrators."""
        place = self.row.workspace_id
        row = await self.loaders.known_workspaces.load(place) if place else None
        return row and workspace_of(row, self.loaders)

    @strawberry.field(
        description="The file, in your personal workspace; its `downloadUrl` needs no header. Null before it is done, "
        "and once the file is gone."
    )
    async def file(self) -> File | None:
        """By the loader of files."""
        row = await self.loaders.files.load(self.row.file_id) if self.row.file_id else None
        return row and file_of(row)

    @strawberry.field(description="Why it failed; else empty.")
    def problems(self) -> list[Problem]:
        """What was refused when it was made."""
        return [problem_of(read(self.row.refusal))] if self.row.refusal else []


def analytics_export_of(row: AnalyticsExportRow, loaders: Loaders) -> AnalyticsExport:
    """The export of a row, as the loaders' viewer sees it."""
    return AnalyticsExport(
        id=encode(Prefix.ANALYTICS_EXPORT, row.id),
        row=row,
        loaders=loaders,
        state=ExportState(row.state),
        report=ExportReport(row.report),
        format=ExportFormat(row.format),
        since=Date(row.since),
        until=Date(row.until),
        interval=None if row.interval is None else Interval(row.interval),
        created_at=DateTime(row.created_at),
        started_at=None if row.started_at is None else DateTime(row.started_at),
        ended_at=None if row.ended_at is None else DateTime(row.ended_at),
        as_of=None if row.as_of is None else DateTime(row.as_of),
        rows=row.row_count,
    )
