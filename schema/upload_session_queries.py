"""Finding uploads."""

from typing import Annotated

import strawberry

from db.questions import UploadFilter
from domain import upload_sessions
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
from schema.context import Context, Info
from schema.ids import Prefix, decode
from schema.scalars import parse_date_time
from schema.upload_sessions import UploadSession, UploadState, upload_session_of

CURSORS = Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time)


@strawberry.input(description="Which uploads: every condition given must hold.")
class UploadSessionWhere:
    """See `db.questions.UploadFilter`."""

    workspace_id: strawberry.ID | None = strawberry.field(default=None, description="Into this workspace.")
    states: list[UploadState] | None = strawberry.field(default=None, description="In one of these states.")


@strawberry.type
class UploadSessionQueries:
    """The viewer's own uploads."""

    @strawberry.field(description="One of your uploads; null when there is none with this id.")
    async def upload_session(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The upload.")]
    ) -> UploadSession | None:
        """By the loader of its noun."""
        loaders = info.context.loaders
        row = await loaders.uploads.load(decode(Prefix.UPLOAD, id))
        return row and upload_session_of(row, loaders)

    @strawberry.field(description="Your uploads, the newest first. Those that have ended are remembered for some days.")
    async def upload_sessions(
        self,
        info: Info,
        where: Annotated[UploadSessionWhere | None, strawberry.argument(description="Which uploads.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[UploadSession] | None:
        """One statement for the page, and one for `totalCount`."""
        page = PageArguments(first, after, last, before)
        return await _connection(info.context, _filter_of(where or UploadSessionWhere()), page)


async def _connection(context: Context, where: UploadFilter, arguments: PageArguments) -> Connection[UploadSession]:
    window, loaders = window_of(arguments, CURSORS), context.loaders

    async def count() -> int:
        async with context.db.reading() as rows:
            return await upload_sessions.count(rows, context.viewer, where)

    async with context.db.reading() as rows:
        page = await upload_sessions.page(rows, context.viewer, where, window)
    return connection_of(page, CURSORS, lambda row: upload_session_of(row, loaders), count)


def _filter_of(where: UploadSessionWhere) -> UploadFilter:
    return UploadFilter(
        workspace_id=None if where.workspace_id is None else decode(Prefix.WORKSPACE, where.workspace_id),
        states=None if where.states is None else [state.name for state in where.states],
    )
