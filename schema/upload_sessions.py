"""Uploads that take several requests, as whoever announced them sees them."""

from enum import Enum
from typing import Annotated

import strawberry

from db.models import UploadTransport as Transport
from db.rows import UploadRow
from domain import upload_targets
from domain.errors import InvalidInput
from domain.upload_ends import read
from domain.upload_sessions import part_count
from schema.context import Info
from schema.files import File, file_of
from schema.ids import Prefix, encode
from schema.loaders import Loaders, present
from schema.nodes import Node
from schema.problems import Problem, problem_of
from schema.scalars import URL, ByteCount, DateTime
from schema.workspaces import Workspace, workspace_of

MAXIMUM_PART_URLS = 100


@strawberry.enum(description="Where an upload stands.")
class UploadState(Enum):
    """The states of uploads."""

    OPEN = strawberry.enum_value("OPEN", description="It is announced, and nothing of it has come.")
    RECEIVING = strawberry.enum_value("RECEIVING", description="Some or all of its bytes have come.")
    VERIFYING = strawberry.enum_value("VERIFYING", description="Its bytes have come and are being read.")
    COMMITTED = strawberry.enum_value("COMMITTED", description="It has become a file.")
    REJECTED = strawberry.enum_value("REJECTED", description="Its bytes were not what was announced, or not allowed.")
    EXPIRED = strawberry.enum_value("EXPIRED", description="Nothing came of it for too long.")
    ABORTED = strawberry.enum_value("ABORTED", description="It was given up.")


@strawberry.enum(description="How the bytes of an upload come.")
class UploadTransport(Enum):
    """The ways in for bytes."""

    MULTIPART = strawberry.enum_value("MULTIPART", description="In a GraphQL request, by `uploadFile`.")
    TUS = strawberry.enum_value(
        "TUS", description="By tus 1.0, in as many pieces as it takes: `url` is the tus resource."
    )
    SINGLE_PUT = strawberry.enum_value("SINGLE_PUT", description="By one PUT to `url`, which needs no header.")
    PARTS = strawberry.enum_value(
        "PARTS", description="By a PUT for each part, in any order and several at once: see `uploadPartUrls`."
    )


@strawberry.type(description="Where a part of an upload goes.")
class UploadPartUrl:
    """See `domain.upload_targets.part_target`."""

    number: int = strawberry.field(description="The number of the part, from 1.")
    url: URL = strawberry.field(description="Where to PUT its bytes, once. It needs no header.")
    size: ByteCount = strawberry.field(description="How many bytes the part has.")


@strawberry.type(description="Bytes on their way in, which are to become a file.")
class UploadSession(Node):
    """An upload of the viewer's."""

    row: strawberry.Private[UploadRow]
    loaders: strawberry.Private[Loaders]
    state: UploadState = strawberry.field(description="Where it stands.")
    transport: UploadTransport = strawberry.field(description="How its bytes come.")
    name: str = strawberry.field(description="What the file will be called.")
    size: ByteCount | None = strawberry.field(description="How many bytes it will have; null as long as nobody knows.")
    received_bytes: ByteCount = strawberry.field(description="How many bytes have come and are safe.")
    part_size: ByteCount | None = strawberry.field(
        description="The bytes of every part but the last; null unless it comes in parts."
    )
    created_at: DateTime = strawberry.field(description="When it was announced.")
    expires_at: DateTime = strawberry.field(description="When it ends unless more bytes come before.")

    @strawberry.field(description="How many parts it has; null unless it comes in parts.")
    def part_count(self) -> int | None:
        """As many as `uploadPartUrls` has URLs for."""
        row = self.row
        return None if row.part_size is None or row.size is None else part_count(row.size, row.part_size)

    @strawberry.field(
        description="Where its bytes go: the tus resource, or where to PUT them. Null where they come in parts or in a "
        "GraphQL request, and once it has ended."
    )
    def url(self, info: Info) -> URL | None:
        """Signed for a PUT; by tus the requests carry the credential."""
        ports = info.context.ports
        if self.state not in {UploadState.OPEN, UploadState.RECEIVING}:
            return None
        if self.row.transport == Transport.TUS:
            return URL(upload_targets.tus_url(ports, self.row))
        if self.row.transport == Transport.SINGLE_PUT:
            return URL(upload_targets.put_target(ports, self.row).url)
        return None

    @strawberry.field(description="Where parts of it go, each by a PUT of its own.")
    def upload_part_urls(
        self,
        info: Info,
        numbers: Annotated[list[int], strawberry.argument(description="Up to 100 numbers of parts, from 1.")],
    ) -> list[UploadPartUrl]:
        """Signed; each is good once."""
        if len(numbers) > MAXIMUM_PART_URLS:
            sentence = f"Ask for at most {MAXIMUM_PART_URLS} parts, not {len(numbers)}."
            raise InvalidInput(message=sentence, path=("numbers",))
        targets = [(number, upload_targets.part_target(info.context.ports, self.row, number)) for number in numbers]
        return [UploadPartUrl(number=n, url=URL(target.url), size=ByteCount(target.size)) for n, target in targets]

    @strawberry.field(description="The workspace that the file will belong to.")
    async def workspace(self) -> Workspace:
        """Visible, as the upload is: both ask for the same membership."""
        return workspace_of(await present(self.loaders.workspaces.load(self.row.workspace_id)), self.loaders)

    @strawberry.field(description="The file that it became; null before that, and once the file is gone.")
    async def file(self) -> File | None:
        """By the loader of files."""
        row = await self.loaders.files.load(self.row.file_id) if self.row.file_id else None
        return row and file_of(row)

    @strawberry.field(description="Why it was rejected; else empty.")
    def problems(self) -> list[Problem]:
        """What `uploadFile` would have said."""
        return [problem_of(read(self.row.refusal))] if self.row.refusal else []


def upload_session_of(row: UploadRow, loaders: Loaders) -> UploadSession:
    """The upload of a row, as the loaders' viewer sees it."""
    return UploadSession(
        id=encode(Prefix.UPLOAD, row.id),
        row=row,
        loaders=loaders,
        state=UploadState(row.state),
        transport=UploadTransport(row.transport),
        name=row.name,
        size=None if row.size is None else ByteCount(row.size),
        received_bytes=ByteCount(row.received),
        part_size=None if row.part_size is None else ByteCount(row.part_size),
        created_at=DateTime(row.created_at),
        expires_at=DateTime(row.expires_at),
    )
