"""Asking for checks of the storage, and looking at them. For administrators alone."""

from typing import Annotated

import strawberry

from domain import storage_check_jobs
from domain.storage_check_jobs import NewCheck
from schema.connections import (
    After,
    Before,
    Connection,
    Cursors,
    First,
    Last,
    PageArguments,
    connection_of,
    window_of,
)
from schema.context import Info, changing
from schema.ids import Prefix, decode
from schema.problems import Payload, refusable
from schema.scalars import parse_date_time
from schema.storage_checks import StorageCheck, storage_check_of

CURSORS = Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time)


@strawberry.type
class StorageCheckQueries:
    """Checks that were asked for."""

    @strawberry.field(description="A check of the storage; null when there is none with this id. Administrators only.")
    async def storage_check(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The check.")]
    ) -> StorageCheck | None:
        """By the loader of its noun."""
        info.context.viewer.administering()
        row = await info.context.loaders.storage_checks.load(decode(Prefix.STORAGE_CHECK, id))
        return row and storage_check_of(row)

    @strawberry.field(description="All checks of the storage, the newest first. Administrators only.")
    async def storage_checks(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[StorageCheck] | None:
        """One statement for the page, and one for `totalCount`."""
        context = info.context
        context.viewer.administering()
        window = window_of(PageArguments(first, after, last, before), CURSORS)

        async def count() -> int:
            async with context.db.reading() as rows:
                return await storage_check_jobs.count(rows, context.viewer)

        async with context.db.reading() as rows:
            page = await storage_check_jobs.page(rows, context.viewer, window)
        return connection_of(page, CURSORS, storage_check_of, count)


@strawberry.input(description="What a check of the storage is to do besides comparing.")
class CheckStorageInput:
    """See `domain.storage_check_jobs.NewCheck`."""

    repair: bool = strawberry.field(
        default=False,
        description="Mend what can safely be mended: remove bytes that nobody wants, end uploads, correct the ledger. "
        "No file is removed.",
    )
    digests: bool = strawberry.field(
        default=False, description="Read the bytes of all files again, which takes as long as the disk needs for it."
    )


@strawberry.type(description="What became of a check of the storage.")
class CheckStoragePayload(Payload):
    """The answer of `checkStorage`."""

    storage_check: StorageCheck | None = strawberry.field(
        default=None, description="The check; one that was under way already, as that was asked for. Null when refused."
    )


@strawberry.type
class StorageCheckMutations:
    """For administrators alone: everybody else is told `FORBIDDEN`."""

    @strawberry.mutation(
        description="Compare what is recorded with what is stored, by a job; one at a time. Administrators only."
    )
    @refusable(CheckStoragePayload)
    async def check_storage(
        self, info: Info, input: Annotated[CheckStorageInput, strawberry.argument(description="What it is to do.")]
    ) -> CheckStoragePayload:
        """One verb, one transaction."""
        context, new = info.context, NewCheck(repairs=input.repair, digests=input.digests)
        async with changing(context) as tx:
            row = await storage_check_jobs.request_check(tx, context.ports, context.viewer, new, context.request)
        return CheckStoragePayload(storage_check=storage_check_of(row))
