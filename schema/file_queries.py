"""Finding files: one by id, or pages of many by what they are and in what order."""

from enum import Enum
from functools import partial
from typing import Annotated

import strawberry

from db.questions import FileFilter, FileOrderField
from domain import files
from domain.errors import InvalidInput
from domain.names import NAME_BYTES, fold
from domain.scopes import Scope
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
from schema.files import File, file_of
from schema.ids import Prefix, decode
from schema.orders import OrderDirection, parse_folded
from schema.scalars import ByteCount, DateTime, parse_byte_count, parse_date_time

MEDIA_TYPES_MAXIMUM = 100
MEDIA_TYPE_MAXIMUM = 255


@strawberry.input(description="Which files: every condition given must hold. Bounds include `From` and exclude `To`.")
class FileWhere:
    """See `db.questions.FileFilter`."""

    name_contains: str | None = strawberry.field(default=None, description="Part of the name, in upper or lower case.")
    media_types: list[str] | None = strawberry.field(
        default=None, description="Any of these media types, such as `image/png` or `image/*`."
    )
    size_from: ByteCount | None = strawberry.field(default=None, description="At least so many bytes.")
    size_to: ByteCount | None = strawberry.field(default=None, description="Fewer bytes than this.")
    created_from: DateTime | None = strawberry.field(default=None, description="Uploaded then or later.")
    created_to: DateTime | None = strawberry.field(default=None, description="Uploaded before then.")
    workspace_id: strawberry.ID | None = strawberry.field(default=None, description="In this workspace.")
    uploaded_by_id: strawberry.ID | None = strawberry.field(default=None, description="Uploaded by this user.")


@strawberry.enum(name="FileOrderField", description="What files are sorted by.")
class OrderField(Enum):
    """The names of `db.questions.FileOrderField`."""

    NAME = strawberry.enum_value("NAME", description="The name, without regard to case.")
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When it was uploaded first.")
    SIZE = strawberry.enum_value("SIZE", description="The size in bytes.")


@strawberry.input(description="What files are sorted by, and which way.")
class FileOrder:
    """The newest first unless something else is asked for."""

    field: OrderField = strawberry.field(default=OrderField.CREATED_AT, description="What is compared.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.DESC, description="Which way.")


CURSORS = {
    OrderField.NAME: Cursors("NAME", lambda row: fold(row.name), parse_folded),
    OrderField.CREATED_AT: Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time),
    OrderField.SIZE: Cursors("SIZE", lambda row: row.size, parse_byte_count),
}


@strawberry.type
class FileQueries:
    """Finding files."""

    @strawberry.field(description="A file, or null when it is absent or not yours to see.")
    async def file(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The file.")]
    ) -> File | None:
        """Through the loader, so that many asked for at once are one statement."""
        row = await info.context.loaders.files.load(decode(Prefix.FILE, id))
        return row and file_of(row)

    @strawberry.field(description="The files that you may see, of all your workspaces, a page at a time.")
    async def files(
        self,
        info: Info,
        where: Annotated[FileWhere | None, strawberry.argument(description="Which files.")] = None,
        order_by: Annotated[FileOrder | None, strawberry.argument(description="Newest first by default.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[File] | None:
        """One statement for the page, and one for `totalCount`."""
        order = order_by or FileOrder()
        page = PageArguments(first, after, last, before)
        return await _connection(info.context, where or FileWhere(), order, page)


async def _connection(
    context: Context, where: FileWhere, order: FileOrder, arguments: PageArguments
) -> Connection[File]:
    context.viewer.required(Scope.FILES_READ)
    cursors, file_filter = CURSORS[order.field], _filter_of(where)
    window = window_of(arguments, cursors)
    sorting = FileOrderField[order.field.name], order.direction is OrderDirection.DESC
    async with context.db.reading() as rows:
        page = await files.page(rows, context.viewer, file_filter, sorting, window)
    return connection_of(page, cursors, file_of, partial(_count, context, file_filter))


async def _count(context: Context, file_filter: FileFilter) -> int:
    async with context.db.reading() as rows:
        return await files.count(rows, context.viewer, file_filter)


def _filter_of(where: FileWhere) -> FileFilter:
    if where.name_contains is not None and len(where.name_contains) > NAME_BYTES:
        raise InvalidInput(message=f"Search for at most {NAME_BYTES} characters.", path=("where", "nameContains"))
    if where.media_types is not None and len(where.media_types) > MEDIA_TYPES_MAXIMUM:
        raise InvalidInput(message=f"Name at most {MEDIA_TYPES_MAXIMUM} media types.", path=("where", "mediaTypes"))
    if any(len(media_type) > MEDIA_TYPE_MAXIMUM for media_type in where.media_types or ()):
        raise InvalidInput(
            message=f"A media type has at most {MEDIA_TYPE_MAXIMUM} characters.", path=("where", "mediaTypes")
        )
    return FileFilter(
        name_contains_folded=None if where.name_contains is None else fold(where.name_contains),
        media_types=None if where.media_types is None else [fold(media_type) for media_type in where.media_types],
        size_from=where.size_from,
        size_to=where.size_to,
        created_from=where.created_from,
        created_to=where.created_to,
        workspace_id=None if where.workspace_id is None else decode(Prefix.WORKSPACE, where.workspace_id),
        uploaded_by_id=None if where.uploaded_by_id is None else decode(Prefix.USER, where.uploaded_by_id),
    )
