"""Uploads that take several requests: announced before any byte, found again, and given up.

Bytes come in through `domain.receptions`, and become a file in `domain.completions`. An upload is its maker's alone:
for everybody else, members of the workspace included, there is no such upload.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil
from uuid import UUID

from uuid_utils.compat import uuid7

from db import uploads
from db.engine import Database, Rows, Transaction
from db.models import Upload, UploadState, UploadTransport
from db.questions import Page, UploadFilter, Window
from db.rows import UploadRow
from domain import ledger, topics
from domain.access import held_workspace, may_write
from domain.errors import Forbidden, InvalidInput, NotFound, Refusal
from domain.events import EventKind, RequestFacts, Subject, event
from domain.ledger import Change
from domain.ports import Ports
from domain.scopes import Scope
from domain.upload_ends import end_upload
from domain.upload_errors import TooManyUploads, UploadEnded
from domain.uploads import Admission, Part, UploadIntent, admit_intent, admit_part, too_large
from domain.viewer import Viewer
from storage.keys import new_key

MAXIMUM_PARTS = 10_000
SINGLE_PUT_BYTES = 16 << 20
"""What is larger goes by tus where the client leaves the choice: a broken connection would cost too much."""


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What a client says of bytes that are to come. None: not said; for the transport, that the service chooses.

    `size` is in bytes. `is_partial` marks a piece of a tus concatenation, `metadata_header` is given back by tus, and
    `id` is one of the client's choosing. `given_back` is what other uploads gave back in the same transaction, for this
    one.
    """

    intent: UploadIntent
    transport: UploadTransport | None = None
    size: int | None = None
    media_type: str | None = None
    is_partial: bool = False
    metadata_header: str | None = None
    id: UUID | None = None
    given_back: Sequence[Change] = ()


async def admit_upload(db: Database, ports: Ports, viewer: Viewer, new: NewUpload) -> Admission:
    """Judge an upload before it is made, as `uploadFile` does before it reads.

    Raises NotSignedIn, ScopeMissing, NotFound, Forbidden, InvalidInput, ExtensionNotAllowed, FileTooLarge and
    QuotaExceeded.
    """
    admitted = await admit_intent(db, ports, viewer, new.intent)
    return admit_part(ports.policy, admitted, new.intent, Part(None, new.media_type, new.size))


async def create_upload(
    tx: Transaction, ports: Ports, viewer: Viewer, upload: tuple[NewUpload, Admission], facts: RequestFacts
) -> UploadRow:
    """Announce an admitted upload: what it needs is held back for it, before any byte.

    The right is asked again, and nobody loses it before this transaction ends. Raises NotSignedIn, ScopeMissing,
    NotFound, Forbidden, InvalidInput, TooManyUploads and QuotaExceeded; Duplicate for an id that is taken.
    """
    user_id, now, (new, admission) = viewer.required(Scope.FILES_WRITE), ports.clock.now(), upload
    access, limits = await held_workspace(tx, viewer, admission.workspace_id), ports.upload_sessions
    if await uploads.count_live(tx, user_id) >= limits.maximum_open:
        sentence = f"You have {limits.maximum_open} uploads under way, which is as many as one may have."
        raise TooManyUploads(message=sentence, maximum=limits.maximum_open)
    transport = _transport_of(new)
    made = Upload(
        id=new.id or uuid7(),
        workspace_id=admission.workspace_id,
        created_by_id=user_id,
        transport=transport,
        name=admission.name,
        declared_media_type=admission.declared_media_type,
        digest=admission.digest,
        size=new.size,
        reserved=new.size or 0,
        part_size=_part_size(new.size, limits.part_bytes) if transport is UploadTransport.PARTS else None,
        is_partial=new.is_partial,
        blob_key=new_key(),
        metadata_header=new.metadata_header,
        replaces_id=admission.replaces.file_id if admission.replaces else None,
        replaces_revision=admission.replaces.revision if admission.replaces else None,
        created_at=now,
        updated_at=now,
        expires_at=now + limits.lifetime,
    )
    await tx.add(made)
    subject = Subject(user_id, made.workspace_id, made.id, new.size, {"transport": transport})
    await tx.add(event(EventKind.UPLOAD_CREATED, subject, facts, now))
    topics.tell_upload(tx, made.id)
    held_back = Change(made.workspace_id, user_id, reserved=made.reserved)
    await ledger.post(tx, ports.workspace_policy, [held_back, *new.given_back])
    return UploadRow(**made.model_dump(), viewer_role=access.role)


async def by_ids(rows: Rows, viewer: Viewer, upload_ids: Collection[UUID]) -> list[UploadRow]:
    """Those of the uploads that are the viewer's, in no particular order; none for nobody. Raises ScopeMissing."""
    user_id = viewer.known(Scope.FILES_WRITE)
    return await uploads.by_ids(rows, user_id, upload_ids) if user_id else []


async def page(rows: Rows, viewer: Viewer, where: UploadFilter, window: Window) -> Page[UploadRow]:
    """A window of the viewer's uploads, the newest first. Raises NotSignedIn and ScopeMissing."""
    return await uploads.page(rows, viewer.required(Scope.FILES_WRITE), where, window)


async def count(rows: Rows, viewer: Viewer, where: UploadFilter) -> int:
    """How many uploads the viewer has. Raises NotSignedIn and ScopeMissing."""
    return await uploads.count(rows, viewer.required(Scope.FILES_WRITE), where)


async def writable_upload(rows: Rows, viewer: Viewer, upload_id: UUID) -> UploadRow:
    """An upload of the viewer's that the viewer may still go on with.

    Raises NotSignedIn, ScopeMissing, NotFound and Forbidden.
    """
    found = await uploads.by_ids(rows, viewer.required(Scope.FILES_WRITE), [upload_id])
    return require_writable(found[0] if found else None)


async def lent_upload(rows: Rows, upload_id: UUID) -> UploadRow:
    """An upload for whoever has a signed URL of it, as long as its maker may go on. Raises NotFound and Forbidden."""
    return require_writable(await uploads.lent(rows, upload_id))


def require_writable(upload: UploadRow | None) -> UploadRow:
    """The upload, if there is one and its maker may still write to its workspace. Raises NotFound and Forbidden."""
    if upload is None:
        raise no_such_upload()
    if upload.viewer_role is None or not may_write(upload.viewer_role):
        raise Forbidden(message="Viewers of a workspace cannot change its files.")
    return upload


async def announce_size(tx: Transaction, ports: Ports, upload: UploadRow, size: int) -> UploadRow:
    """Say how large an upload is that was begun without, and hold back what that takes.

    Raises InvalidInput, FileTooLarge, QuotaExceeded and UploadEnded.
    """
    if upload.size == size:
        return upload
    if upload.size is not None:
        raise InvalidInput(message=f"The upload was announced with {upload.size} bytes.", path=("size",))
    if size > ports.policy.maximum_file_bytes:
        raise too_large(ports.policy.maximum_file_bytes)
    locked = await uploads.lock(tx, upload.id)
    if locked is None or locked.state not in uploads.GROWING:
        raise has_ended(locked or upload)
    if size < locked.received:
        raise InvalidInput(message=f"{locked.received} bytes have come already.", path=("size",))
    await uploads.change(tx, upload.id, uploads.GROWING, {"size": size, "reserved": size})
    topics.tell_upload(tx, upload.id)
    more = Change(locked.workspace_id, locked.created_by_id, reserved=size - locked.reserved)
    await ledger.post(tx, ports.workspace_policy, [more])
    return locked._replace(size=size, reserved=size)


async def abort_upload(
    tx: Transaction, ports: Ports, viewer: Viewer, upload_id: UUID, facts: RequestFacts
) -> UploadRow:
    """Give an upload up; what came of it is to be removed after the transaction. Aborting again does nothing.

    Raises NotSignedIn, ScopeMissing, NotFound and UploadEnded.
    """
    user_id = viewer.required(Scope.FILES_WRITE)
    await uploads.lock(tx, upload_id)
    found = await uploads.by_ids(tx, user_id, [upload_id])
    if not found:
        raise no_such_upload()
    upload = found[0]
    if upload.state == UploadState.ABORTED:
        return upload
    if upload.state not in uploads.LIVE:
        raise has_ended(upload)
    return await end_upload(tx, ports, upload, (UploadState.ABORTED, None), facts)


def no_such_upload() -> NotFound:
    """Absent, or somebody else's."""
    return NotFound(message="There is no such upload.", path=("id",))


def has_ended(upload: UploadRow) -> Refusal:
    """The upload takes no more."""
    return UploadEnded(message=f"The upload takes no more: it is {upload.state}.", state=upload.state, path=("id",))


def part_count(size: int, part_size: int) -> int:
    """How many parts an upload has; an empty one has one, of no bytes."""
    return max(1, ceil(size / part_size))


def part_range(upload: UploadRow, number: int) -> tuple[int, int]:
    """Where a part begins, and how many bytes it has. Raises InvalidInput."""
    size, part_size = upload.size, upload.part_size
    if size is None or part_size is None:
        raise InvalidInput(message="This upload does not come in parts.", path=("id",))
    last = part_count(size, part_size)
    if not 1 <= number <= last:
        raise InvalidInput(message=f"Parts are numbered from 1 to {last}, {number} is none.", path=("numbers",))
    begin = (number - 1) * part_size
    return begin, min(part_size, size - begin)


def _transport_of(new: NewUpload) -> UploadTransport:
    chosen = new.transport
    if chosen is None:
        is_small = new.size is not None and new.size <= SINGLE_PUT_BYTES
        chosen = UploadTransport.SINGLE_PUT if is_small else UploadTransport.TUS
    if chosen in {UploadTransport.SINGLE_PUT, UploadTransport.PARTS} and new.size is None:
        raise InvalidInput(message="Say the size: only tus can do without.", path=("size",))
    return chosen


def _part_size(size: int | None, part_bytes: int) -> int:
    # A whole number of MiB keeps parts on the borders of pages.
    least = ceil((size or 0) / MAXIMUM_PARTS / (1 << 20)) << 20
    return max(part_bytes, least)
