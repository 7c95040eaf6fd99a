"""Versions of files, as members of their workspace see them."""

from enum import Enum
from typing import Annotated, TypeAlias
from uuid import UUID

import strawberry

from db.models import FileStatus
from db.rows import VersionRow
from domain import downloads
from domain.downloads import LinkTerms
from schema.connections import Connection, Cursors, PageArguments, connection_of, nothing_in, window_of
from schema.context import Context, Info
from schema.ids import Prefix, encode
from schema.loaders import Loaders
from schema.nodes import Node
from schema.scalars import URL, ByteCount, DateTime
from schema.users import User, user_of

HIGHEST_NUMBER = 2**31 - 1


@strawberry.enum(description="What a browser is told to do with the bytes.")
class Disposition(Enum):
    """See RFC 6266."""

    ATTACHMENT = strawberry.enum_value("ATTACHMENT", description="Keep them as a file.")
    INLINE = strawberry.enum_value(
        "INLINE", description="Show them, where that is safe; otherwise keep them as a file."
    )


ExpiresInSeconds: TypeAlias = Annotated[int, strawberry.argument(description="How long it lasts: up to a week.")]
Wanted: TypeAlias = Annotated[Disposition, strawberry.argument(description="What a browser does with it.")]


@strawberry.type(description="One immutable content of a file.")
class Version(Node):
    """A version of a file that the viewer may see."""

    row: strawberry.Private[VersionRow]
    number: int = strawberry.field(description="Counts up from 1 within its file.")
    current: bool = strawberry.field(description="Whether it is what the file has now.")
    size: ByteCount = strawberry.field(description="Its size in bytes.")
    media_type: str = strawberry.field(description="Found from the bytes, such as `image/png`.")
    declared_media_type: str | None = strawberry.field(description="What the client said it was, if it did.")
    digest: str = strawberry.field(description="The SHA-256 of the bytes, in hex.")
    created_at: DateTime = strawberry.field(description="When it was uploaded, or restored from an older one.")

    @strawberry.field(description="Who uploaded or restored it; null once that account is gone.")
    async def uploaded_by(self, info: Info) -> User | None:
        """Whoever may see a file may see who brought it."""
        if self.row.created_by_id is None:
            return None
        row = await info.context.loaders.uploaders.load(self.row.created_by_id)
        return row and user_of(row, info.context.loaders)

    @strawberry.field(description="A URL of its bytes that needs no header for a limited time.")
    def download_url(
        self, info: Info, expires_in_seconds: ExpiresInSeconds = 300, disposition: Wanted = Disposition.ATTACHMENT
    ) -> URL | None:
        """Signed by the viewer: it stops working when the viewer loses the right. Null unless the file is ready."""
        if self.row.status != FileStatus.READY:
            return None
        return signed_url(info.context, (self.row.file_id, self.row.id), disposition, expires_in_seconds)


def _parse_number(given: object) -> int:
    # What does not fit its column is no number of a version, and would be a fault of the database.
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given <= HIGHEST_NUMBER:
        raise ValueError
    return given


CURSORS = Cursors("NUMBER", lambda row: row.number, _parse_number)


def version_of(row: VersionRow) -> Version:
    """The version of a row."""
    return Version(
        id=encode(Prefix.VERSION, row.id),
        row=row,
        number=row.number,
        current=row.is_current,
        size=ByteCount(row.size),
        media_type=row.media_type,
        declared_media_type=row.declared_media_type,
        digest=row.digest,
        created_at=DateTime(row.created_at),
    )


async def versions_of(loaders: Loaders, file_id: UUID, arguments: PageArguments) -> Connection[Version]:
    """A page of a file's versions, the newest first."""

    async def count() -> int:
        return await loaders.version_counts.load((file_id, None)) or 0

    window = window_of(arguments, CURSORS)
    page = await loaders.version_pages.load((file_id, window)) or nothing_in(window)
    return connection_of(page, CURSORS, version_of, count)


def signed_url(context: Context, content: tuple[UUID, UUID], disposition: Disposition, expires_in_seconds: int) -> URL:
    """A URL, signed by the viewer, of a file in a version. Raises what `domain.downloads.sign_download` raises."""
    terms = LinkTerms(*content, downloads.Disposition[disposition.name], expires_in_seconds)
    return URL(downloads.sign_download(context.ports, context.viewer, terms))
