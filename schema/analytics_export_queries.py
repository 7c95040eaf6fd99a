"""Having reports of what is counted made as files, and looking at them."""

from typing import Annotated
from uuid import UUID

import strawberry

from db.engine import Rows, Transaction
from db.models import ExportFormat as Format
from db.models import ExportReport as Report
from db.rows import AnalyticsExportRow
from domain import analytics_exports
from domain.analytics import Asked
from domain.analytics_buckets import Interval as Length
from domain.analytics_exports import NewExport
from domain.idempotency import asked_by
from domain.scopes import Scope
from schema.analytics import Interval
from schema.analytics_exports import AnalyticsExport, ExportFormat, ExportReport, analytics_export_of
from schema.context import Info
from schema.idempotency import IDEMPOTENCY_KEY, made_once
from schema.ids import Prefix, decode
from schema.problems import Payload, refusable
from schema.scalars import Date


@strawberry.input(description="A report that is to be made as a file.")
class ExportAnalyticsInput:
    """See `domain.analytics_exports.NewExport`."""

    report: ExportReport = strawberry.field(description="What it is of.")
    format: ExportFormat = strawberry.field(description="How it is written.")
    since: Date | None = strawberry.field(
        default=None, description="The first day; 29 days before the last by default."
    )
    until: Date | None = strawberry.field(default=None, description="The last day; today by default.")
    interval: Interval | None = strawberry.field(
        default=None, description="How long a bucket is, of reports over time: a day by default."
    )
    workspace_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Only what is in it; otherwise all that you may know of: administrators of the whole service, "
        "others of their workspaces.",
    )
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@strawberry.type(description="What became of a report that was asked for.")
class ExportAnalyticsPayload(Payload):
    """The answer of `exportAnalytics`."""

    export: AnalyticsExport | None = strawberry.field(
        default=None, description="The export: ask for it again until it is `DONE` or `FAILED`. Null when refused."
    )


@strawberry.type
class AnalyticsExportQueries:
    """The viewer's own exports."""

    @strawberry.field(description="One of your exports; null when there is none with this id.")
    async def analytics_export(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The export.")]
    ) -> AnalyticsExport | None:
        """By the loader of its noun."""
        loaders = info.context.loaders
        row = await loaders.analytics_exports.load(decode(Prefix.ANALYTICS_EXPORT, id))
        return row and analytics_export_of(row, loaders)


@strawberry.type
class AnalyticsExportMutations:
    """Exports."""

    @strawberry.mutation(
        description="Have a report of what is counted made as a file of yours, by a job: for whoever may ask for "
        "`analytics`. Whether you may know what is in it is asked again when it is made. At most 5 at a time."
    )
    @refusable(ExportAnalyticsPayload)
    async def export_analytics(
        self, info: Info, input: Annotated[ExportAnalyticsInput, strawberry.argument(description="The report.")]
    ) -> ExportAnalyticsPayload:
        """One verb, one transaction."""
        context, viewer, new = info.context, info.context.viewer, _new(input)

        async def make(tx: Transaction) -> AnalyticsExportRow:
            return await analytics_exports.request_export(tx, context.ports, viewer, new, context.request)

        async def again(rows: Rows, export_id: UUID) -> AnalyticsExportRow | None:
            return next(iter(await analytics_exports.by_ids(rows, viewer, [export_id])), None)

        said = new.report, new.format, new.asked.since, new.asked.until, new.interval, new.asked.workspace_id
        asked = asked_by(viewer.required(Scope.ANALYTICS_READ), input.idempotency_key, "exportAnalytics", *said)
        row = await made_once(context, asked, make, again)
        return ExportAnalyticsPayload(export=analytics_export_of(row, context.loaders))


def _new(given: ExportAnalyticsInput) -> NewExport:
    place = None if given.workspace_id is None else decode(Prefix.WORKSPACE, given.workspace_id)
    return NewExport(
        report=Report[given.report.name],
        format=Format[given.format.name],
        asked=Asked(given.since, given.until, place),
        interval=None if given.interval is None else Length[given.interval.name],
    )
