"""Files, as members of their workspace see them."""

from enum import Enum

import strawberry

from db.rows import FileRow
from schema.connections import After, Before, Connection, First, Last, PageArguments
from schema.context import Info
from schema.ids import Prefix, encode
from schema.loaders import present
from schema.nodes import Node
from schema.scalars import URL, ByteCount, DateTime
from schema.users import User, user_of
from schema.versions import Disposition, ExpiresInSeconds, Version, Wanted, signed_url, version_of, versions_of
from schema.workspaces import Workspace, workspace_of


@strawberry.enum(description="Whether a file can be had.")
class FileStatus(Enum):
    """The states of files."""

    READY = strawberry.enum_value("READY", description="It can be downloaded.")
    QUARANTINED = strawberry.enum_value("QUARANTINED", description="It is kept back until it has been examined.")
    REJECTED = strawberry.enum_value("REJECTED", description="It was examined and is not given out.")


@strawberry.type(description="What a person owns and sees: a name, a workspace and a current version.")
class File(Node):
    """A file that the viewer may see. Plain attributes, so that long lists are cheap."""

    row: strawberry.Private[FileRow]
    name: str = strawberry.field(description="As the uploader wrote it, without folders. Need not be unique.")
    size: ByteCount = strawberry.field(description="The size of the current version in bytes.")
    media_type: str = strawberry.field(description="Found from the bytes, such as `image/png`.")
    declared_media_type: str | None = strawberry.field(description="What the client said it was, if it did.")
    digest: str = strawberry.field(description="The SHA-256 of the current version's bytes, in hex.")
    status: FileStatus = strawberry.field(description="Whether it can be downloaded.")
    created_at: DateTime = strawberry.field(description="When it was uploaded first.")
    updated_at: DateTime = strawberry.field(description="When its record changed last.")
    revision: int = strawberry.field(description="The number of changes its record has seen, for `ifRevision`.")

    @strawberry.field(description="The workspace it belongs to.")
    async def workspace(self, info: Info) -> Workspace:
        """Visible, as the file is: both ask for the same membership."""
        loaders = info.context.loaders
        return workspace_of(await present(loaders.workspaces.load(self.row.workspace_id)), loaders)

    @strawberry.field(description="Who uploaded it; null once that account is gone.")
    async def uploaded_by(self, info: Info) -> User | None:
        """Whoever may see a file may see who brought it."""
        if self.row.uploaded_by_id is None:
            return None
        row = await info.context.loaders.uploaders.load(self.row.uploaded_by_id)
        return row and user_of(row, info.context.loaders)

    @strawberry.field(description="Its current content.")
    async def version(self, info: Info) -> Version:
        """The version whose size, type and digest the file repeats."""
        return version_of(await present(info.context.loaders.versions.load(self.row.version_id)))

    @strawberry.field(description="Its contents, the newest first.")
    async def versions(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Version]:
        """One statement for all files of a list."""
        return await versions_of(info.context.loaders, self.row.id, PageArguments(first, after, last, before))

    @strawberry.field(
        description="A URL that needs no header for a limited time. It opens this version, also when newer ones follow."
    )
    def download_url(
        self, info: Info, expires_in_seconds: ExpiresInSeconds = 300, disposition: Wanted = Disposition.ATTACHMENT
    ) -> URL | None:
        """Signed by the viewer: it stops working when the viewer loses the right. Null unless the file is ready."""
        if self.status is not FileStatus.READY:
            return None
        return signed_url(info.context, (self.row.id, self.row.version_id), disposition, expires_in_seconds)


def file_of(row: FileRow) -> File:
    """The file of a row."""
    return File(
        id=encode(Prefix.FILE, row.id),
        row=row,
        name=row.name,
        size=ByteCount(row.size),
        media_type=row.media_type,
        declared_media_type=row.declared_media_type,
        digest=row.digest,
        status=FileStatus(row.status),
        created_at=DateTime(row.created_at),
        updated_at=DateTime(row.updated_at),
        revision=row.revision,
    )
