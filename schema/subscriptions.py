"""What is told while it happens."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry

from domain.file_changes import FileChange, watch_files
from domain.upload_progress import watch_upload
from schema.context import Info, load_anew
from schema.event_kinds import EventKind
from schema.files import File, file_of
from schema.ids import Prefix, decode, encode
from schema.scalars import DateTime
from schema.upload_sessions import UploadSession, upload_session_of
from schema.users import User, user_of


@strawberry.type(description="Something that happened to a file, told while it happens.")
class FileEvent:
    """See `domain.file_changes`."""

    change: strawberry.Private[FileChange]
    kind: EventKind = strawberry.field(description="What happened, such as `FILE_UPLOADED`.")
    file_id: strawberry.ID = strawberry.field(description="The file that it happened to.")
    happened_at: DateTime = strawberry.field(description="When it happened.")

    @strawberry.field(description="The file as it is now; null once it is gone.")
    async def file(self, info: Info) -> File | None:
        """By the loader of files."""
        row = await info.context.loaders.files.load(self.change.file_id)
        return row and file_of(row)

    @strawberry.field(description="Who did it; null when the account is gone, or not yours to see.")
    async def actor(self, info: Info) -> User | None:
        """Seen by those who share a workspace with the person."""
        loaders = info.context.loaders
        row = await loaders.users.load(self.change.actor_id) if self.change.actor_id else None
        return row and user_of(row, loaders)


@strawberry.type(description="Everything that is told while it happens. News are told once: after a gap, ask anew.")
class Subscription:
    """The root of subscriptions. Each generator asks for the right at its start, and again for each event."""

    @strawberry.subscription(
        description="How far one of your uploads is: as it stands, then up to four times a second, until it has ended."
        " Null while there is no such upload: you may watch an id of your choosing before you upload under it."
    )
    async def upload_progress(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The upload.")]
    ) -> AsyncGenerator[UploadSession | None, None]:
        """Rows as `domain.upload_progress` gives them."""
        context = info.context
        watching = watch_upload(context.db, context.viewer, decode(Prefix.UPLOAD, id))
        try:
            async for row in watching:
                load_anew(context)
                yield row and upload_session_of(row, context.loaders)
        finally:
            await watching.aclose()

    @strawberry.subscription(description="What happens to the files of a workspace, from now on.")
    async def file_changed(
        self,
        info: Info,
        workspace_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="The workspace; your personal one by default.")
        ] = None,
    ) -> AsyncGenerator[FileEvent | None, None]:
        """Changes as `domain.file_changes` gives them."""
        context = info.context
        wanted = None if workspace_id is None else decode(Prefix.WORKSPACE, workspace_id)
        watching = watch_files(context.db, context.viewer, wanted)
        try:
            async for change in watching:
                load_anew(context)
                yield _event_of(change)
        finally:
            await watching.aclose()


def _event_of(change: FileChange) -> FileEvent:
    return FileEvent(
        change=change,
        kind=EventKind[change.kind.name],
        file_id=encode(Prefix.FILE, change.file_id),
        happened_at=DateTime(change.happened_at),
    )
