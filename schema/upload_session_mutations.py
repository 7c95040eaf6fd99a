"""Announcing uploads, completing them and giving them up."""

from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from db.engine import Rows
from db.models import UploadTransport
from db.rows import UploadRow
from domain import upload_sessions
from domain.backends import Backends
from domain.completions import complete_upload
from domain.idempotency import Asked, Result, asked_by, make_once, remember
from domain.scopes import Scope
from domain.upload_ends import remove_bytes
from domain.upload_sessions import NewUpload, admit_upload, writable_upload
from domain.uploads import UploadIntent
from domain.viewer import Viewer
from schema.context import Info, changing
from schema.files import File
from schema.idempotency import IDEMPOTENCY_KEY
from schema.ids import Prefix, decode
from schema.loaders import Loaders
from schema.problems import Payload, refusable
from schema.scalars import ByteCount
from schema.upload_sessions import UploadSession, upload_session_of
from schema.uploads import replaced_by


@strawberry.enum(description="How bytes are to come.")
class TransportChoice(Enum):
    """The transports that can be asked for."""

    AUTO = strawberry.enum_value("AUTO", description="By one PUT where they are few, else by tus.")
    TUS = strawberry.enum_value("TUS", description="By tus 1.0, in as many pieces as it takes.")
    SINGLE_PUT = strawberry.enum_value("SINGLE_PUT", description="By one PUT. Say the size.")
    PARTS = strawberry.enum_value("PARTS", description="In parts, several at once. Say the size.")


@strawberry.input(description="Bytes that are to come, which will be a file.")
class CreateUploadInput:
    """See `domain.upload_sessions.NewUpload`."""

    name: str | None = strawberry.field(
        default=None, description="What the file will be called. Needed unless it `replaces` one."
    )
    size: ByteCount | None = strawberry.field(
        default=None, description="How many bytes will come. They are held back from the quota at once."
    )
    media_type: str | None = strawberry.field(default=None, description="What you say that the file is.")
    digest: str | None = strawberry.field(
        default=None, description="The SHA-256 of its bytes in hex: bytes that differ are refused."
    )
    workspace_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where it goes; otherwise to your personal workspace."
    )
    replaces: strawberry.ID | None = strawberry.field(
        default=None, description="The file that is to have these bytes as its newest version, under its name."
    )
    if_revision: int | None = strawberry.field(
        default=None, description="With `replaces`: refuse with `CONFLICT` unless the file is at this revision."
    )
    transport: TransportChoice = strawberry.field(default=TransportChoice.AUTO, description="How they will come.")
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@strawberry.input(description="An upload whose bytes have all come.")
class CompleteUploadInput:
    """One of the viewer's."""

    id: strawberry.ID = strawberry.field(description="The upload.")


@strawberry.input(description="An upload to be given up.")
class AbortUploadInput:
    """One of the viewer's."""

    id: strawberry.ID = strawberry.field(description="The upload.")


@strawberry.type(description="What became of an announced upload.")
class CreateUploadPayload(Payload):
    """The answer of `createUpload`."""

    upload_session: UploadSession | None = strawberry.field(
        default=None, description="Where the bytes go, and how far they have come; null when refused."
    )


@strawberry.type(description="What became of an upload.")
class CompleteUploadPayload(Payload):
    """The answer of `completeUpload`."""

    upload_session: UploadSession | None = strawberry.field(
        default=None,
        description="The upload as it stands now: while it is `VERIFYING`, ask again. Null when nothing was done.",
    )
    file: File | None = strawberry.field(default=None, description="The file that it became; null before that.")


@strawberry.type(description="What became of giving an upload up.")
class AbortUploadPayload(Payload):
    """The answer of `abortUpload`."""

    upload_session: UploadSession | None = strawberry.field(
        default=None, description="The upload as it ended; null when refused."
    )


@strawberry.type
class UploadSessionMutations:
    """Uploads that take several requests."""

    @strawberry.mutation(
        description="Announce bytes before they come: whether they may come and whether there is room for them is "
        "decided here, and the answer says where they go."
    )
    @refusable(CreateUploadPayload)
    async def create_upload(
        self, info: Info, input: Annotated[CreateUploadInput, strawberry.argument(description="The bytes.")]
    ) -> CreateUploadPayload:
        """Judged first, then one verb in one transaction."""
        context, viewer, new = info.context, info.context.viewer, _new(input)
        asked, now = _asked(viewer, new, input.idempotency_key), context.ports.clock.now()

        async def make() -> UploadRow:
            admission = await admit_upload(context.db, context.ports, viewer, new)
            async with changing(context) as tx:
                made = await upload_sessions.create_upload(tx, context.ports, viewer, (new, admission), context.request)
                await remember(tx, [Result(asked, made.id)], now)
            return made

        async def again(rows: Rows, upload_id: UUID) -> UploadRow | None:
            found = await upload_sessions.by_ids(rows, viewer, [upload_id])
            return found[0] if found else None

        row = await make_once(context.db, (asked, now), make, again)
        return CreateUploadPayload(upload_session=upload_session_of(row, context.loaders))

    @strawberry.mutation(
        description="Make a file of an upload whose bytes have all come. Repeating it gives the same answer. Uploads "
        "by tus complete themselves with their last byte."
    )
    @refusable(CompleteUploadPayload)
    async def complete_upload(
        self, info: Info, input: Annotated[CompleteUploadInput, strawberry.argument(description="The upload.")]
    ) -> CompleteUploadPayload:
        """Found first; the verb opens its own transactions around what the store does."""
        context = info.context
        async with context.db.reading() as rows:
            upload = await writable_upload(rows, context.viewer, decode(Prefix.UPLOAD, input.id))
        backends = Backends(context.db, context.store, context.ports)
        row = await complete_upload(backends, context.viewer, upload, context.request)
        context.loaders = Loaders(context.db, context.viewer, context.ports.clock)
        session = upload_session_of(row, context.loaders)
        return CompleteUploadPayload(upload_session=session, file=await session.file(), problems=session.problems())

    @strawberry.mutation(description="Give an upload up: what has come of it is removed.")
    @refusable(AbortUploadPayload)
    async def abort_upload(
        self, info: Info, input: Annotated[AbortUploadInput, strawberry.argument(description="The upload.")]
    ) -> AbortUploadPayload:
        """One verb, one transaction; the bytes go after it."""
        context = info.context
        upload_id = decode(Prefix.UPLOAD, input.id)
        async with changing(context) as tx:
            row = await upload_sessions.abort_upload(tx, context.ports, context.viewer, upload_id, context.request)
        await remove_bytes(context.db, context.store, row)
        return AbortUploadPayload(upload_session=upload_session_of(row, context.loaders))


def _new(given: CreateUploadInput) -> NewUpload:
    workspace_id = None if given.workspace_id is None else decode(Prefix.WORKSPACE, given.workspace_id)
    chosen = None if given.transport is TransportChoice.AUTO else UploadTransport[given.transport.name]
    return NewUpload(
        intent=UploadIntent(
            name=given.name,
            workspace_id=workspace_id,
            digest=given.digest,
            replaces=replaced_by(given.replaces, given.if_revision),
        ),
        transport=chosen,
        size=given.size,
        media_type=given.media_type,
    )


def _asked(viewer: Viewer, new: NewUpload, key: str | None) -> Asked | None:
    intent, replaces = new.intent, new.intent.replaces
    said = intent.name, intent.workspace_id, intent.digest, replaces and (replaces.file_id, replaces.revision)
    user_id = viewer.required(Scope.FILES_WRITE)
    return asked_by(user_id, key, "createUpload", *said, new.transport, new.size, new.media_type)
