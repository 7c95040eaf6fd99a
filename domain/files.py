"""Files: made from received bytes, found, listed, renamed and purged, always for a viewer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from db import blobs, files
from db.engine import Database, Rows, Transaction
from db.files import FileFilter, FileOrderField
from db.models import Blob, Event, File, FileStatus, Version
from db.pages import Page, Window
from db.rows import FileRow, VersionRow
from domain import media
from domain.access import Access, may_write, writable_workspaces
from domain.errors import Forbidden, InvalidInput, MediaTypeNotAllowed, NotFound, Refusal, RevisionConflict
from domain.events import EventKind, RequestFacts, Subject, event
from domain.media import Inspection, media_type_under, media_types_of
from domain.names import clean_name, extension_of, fold, judge_extension
from domain.ports import Ports
from domain.uploads import Received
from domain.viewer import Viewer

BULK_MAXIMUM = 100
NO_SUCH_FILE = "There is no such file."


@dataclass(frozen=True, slots=True)
class Inspected:
    """Received bytes that are what their name says."""

    received: Received
    inspection: Inspection


@dataclass(frozen=True, slots=True, eq=False)
class Creation:
    """What one request makes files of."""

    ports: Ports
    viewer: Viewer
    uploads: Sequence[Inspected]
    facts: RequestFacts


@dataclass(frozen=True, slots=True)
class Rename:
    """Another name for a file. `revision`, when given, is the one that the client has read."""

    file_id: UUID
    name: str
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What became of each id, in the order asked, and the blobs whose bytes can go now."""

    outcomes: list[FileRow | Refusal]
    blob_keys: list[str]


def inspect(received: Received) -> Inspected:
    """Find the media type of received bytes. Raises MediaTypeNotAllowed when name and bytes disagree.

    Cheaper than a hop to a thread and back: tens of microseconds, a few milliseconds for bytes made to be slow.
    """
    admission = received.admission
    inspection = media.inspect(admission.name, received.head)
    if not inspection.agrees:
        raise MediaTypeNotAllowed(
            message=f"The name says one thing, the bytes another: they are {inspection.detected}.",
            declared=admission.declared_media_type,
            detected=inspection.detected,
            allowed=inspection.allowed,
            path=("file",),
        )
    return Inspected(received, inspection)


async def create_files(db: Database, creation: Creation) -> list[FileRow | Refusal]:
    """Make files of inspected bytes, blobs, files, versions and events together; what became of each, in order.

    The right is asked again, since it may have been lost while the bytes came in. Requests that come to this point at
    the same time share a transaction: the disk is waited for once. Raises NotSignedIn.
    """
    creation.viewer.required()
    return await db.share(_create_all, creation) if creation.uploads else []


async def _create_all(tx: Transaction, creations: Sequence[Creation]) -> list[list[FileRow | Refusal]]:
    asked = [
        (creation.viewer, upload.received.admission.workspace_id)
        for creation in creations
        for upload in creation.uploads
    ]
    judged = iter(await writable_workspaces(tx, asked))
    made: list[tuple[Creation, Inspected, FileRow]] = []
    outcomes: list[list[FileRow | Refusal]] = []
    for creation in creations:
        now = creation.ports.clock.now()
        rows = [_outcome(creation.viewer, next(judged), upload, now) for upload in creation.uploads]
        pairs = zip(creation.uploads, rows, strict=True)
        made += [(creation, upload, row) for upload, row in pairs if isinstance(row, FileRow)]
        outcomes.append(rows)
    if made:
        await tx.insert(Blob, [_blob(creation.ports, upload, row) for creation, upload, row in made])
        await tx.insert(File, [_file(row) for _, _, row in made])
        await tx.insert(Version, [_version(upload, row) for _, upload, row in made])
        await tx.add(*(_uploaded(row, creation.facts) for creation, _, row in made))
    return outcomes


async def by_ids(rows: Rows, viewer: Viewer, file_ids: Sequence[UUID]) -> list[FileRow]:
    """Those of the files that the viewer may see, in no particular order; none for nobody."""
    return await files.by_ids(rows, viewer.user_id, file_ids) if viewer.user_id else []


async def versions_by_ids(rows: Rows, viewer: Viewer, version_ids: Sequence[UUID]) -> list[VersionRow]:
    """Those of the versions whose files the viewer may see, in no particular order; none for nobody."""
    return await files.versions_by_ids(rows, viewer.user_id, version_ids) if viewer.user_id else []


async def page(
    rows: Rows, viewer: Viewer, where: FileFilter, order: tuple[FileOrderField, bool], window: Window
) -> Page[FileRow]:
    """A window of the files that the viewer may see. Raises NotSignedIn."""
    return await files.page(rows, viewer.required(), where, order, window)


async def count(rows: Rows, viewer: Viewer, where: FileFilter) -> int:
    """How many files the viewer may see. Raises NotSignedIn."""
    return await files.count(rows, viewer.required(), where)


async def rename_file(tx: Transaction, ports: Ports, viewer: Viewer, change: Rename, facts: RequestFacts) -> FileRow:
    """Give a file another name, judged as that of an upload is; its type must still agree with the extension.

    Raises NotSignedIn, NotFound, Forbidden, InvalidInput, ExtensionNotAllowed, MediaTypeNotAllowed and
    RevisionConflict.
    """
    file = await _writable_file(tx, viewer, change.file_id)
    name = clean_name(change.name)
    judge_extension(name, ports.policy)
    _judge_type(file, name)
    if change.revision not in {None, file.revision}:
        raise _revision_conflict(file)
    now = ports.clock.now()
    if not await files.rename(tx, file, name, fold(name), now):
        raise _revision_conflict(file)
    subject = Subject(viewer.user_id, file.workspace_id, file.id, data={"from": file.name, "to": name})
    await tx.add(event(EventKind.FILE_RENAMED, subject, facts, now))
    return file._replace(name=name, revision=file.revision + 1, updated_at=now)


async def purge_files(
    tx: Transaction, ports: Ports, viewer: Viewer, file_ids: Sequence[UUID], facts: RequestFacts
) -> Purged:
    """Remove up to 100 files for good, each by its own right.

    The bytes go after the transaction: their blobs are marked here. Raises NotSignedIn and InvalidInput.
    """
    user_id, now = viewer.required(), ports.clock.now()
    if len(file_ids) > BULK_MAXIMUM:
        raise InvalidInput(message=f"Name at most {BULK_MAXIMUM} files, not {len(file_ids)}.", path=("ids",))
    seen = {row.id: row for row in await files.by_ids(tx, user_id, file_ids)}
    outcomes = [_purgeable(seen.get(file_id)) for file_id in file_ids]
    purged = {outcome.id: outcome for outcome in outcomes if isinstance(outcome, FileRow)}
    keys = await files.purge(tx, list(purged))
    await blobs.mark_deleted(tx, keys, now)
    await tx.add(
        *(
            event(EventKind.FILE_PURGED, Subject(user_id, file.workspace_id, file.id, file.size), facts, now)
            for file in purged.values()
        )
    )
    return Purged(outcomes, keys)


def _outcome(viewer: Viewer, access: Access | Refusal, upload: Inspected, now: datetime) -> FileRow | Refusal:
    if isinstance(access, Refusal):
        return access
    admission, stored = upload.received.admission, upload.received.stored
    return FileRow(
        id=uuid7(),
        workspace_id=access.workspace_id,
        uploaded_by_id=viewer.user_id,
        name=admission.name,
        version_id=uuid7(),
        size=stored.size,
        media_type=upload.inspection.media_type,
        declared_media_type=admission.declared_media_type,
        digest=stored.digest,
        status=FileStatus.READY,
        revision=1,
        created_at=now,
        updated_at=now,
        viewer_role=access.role,
    )


def _blob(ports: Ports, upload: Inspected, row: FileRow) -> dict[str, Any]:
    stored = upload.received.stored
    return {
        "key": stored.key,
        "store": ports.store_name,
        "size": stored.size,
        "digest": stored.digest,
        "crc32": stored.crc32,
        "created_at": row.created_at,
    }


def _file(row: FileRow) -> dict[str, Any]:
    values = row._asdict()
    del values["viewer_role"]
    return values | {"name_folded": fold(row.name)}


def _version(upload: Inspected, row: FileRow) -> dict[str, Any]:
    return {
        "id": row.version_id,
        "file_id": row.id,
        "number": 1,
        "blob_key": upload.received.stored.key,
        "size": row.size,
        "media_type": row.media_type,
        "declared_media_type": row.declared_media_type,
        "digest": row.digest,
        "created_by_id": row.uploaded_by_id,
        "created_at": row.created_at,
    }


def _uploaded(row: FileRow, facts: RequestFacts) -> Event:
    subject = Subject(row.uploaded_by_id, row.workspace_id, row.id, row.size, {"mediaType": row.media_type})
    return event(EventKind.FILE_UPLOADED, subject, facts, row.created_at)


async def _writable_file(rows: Rows, viewer: Viewer, file_id: UUID) -> FileRow:
    found = await files.by_ids(rows, viewer.required(), [file_id])
    if not found:
        raise NotFound(message=NO_SUCH_FILE, path=("id",))
    if not may_write(found[0].viewer_role):
        raise _viewers_cannot()
    return found[0]


def _purgeable(file: FileRow | None) -> FileRow | Refusal:
    if file is None:
        return NotFound(message=NO_SUCH_FILE)
    return file if may_write(file.viewer_role) else _viewers_cannot()


def _judge_type(file: FileRow, name: str) -> None:
    if media_type_under(name, file.media_type) is None:
        raise MediaTypeNotAllowed(
            message=f"A file of type {file.media_type} cannot have this extension.",
            declared=file.declared_media_type,
            detected=file.media_type,
            allowed=media_types_of(extension_of(name)),
            path=("name",),
        )


def _viewers_cannot() -> Forbidden:
    return Forbidden(message="Viewers of a workspace cannot change its files.")


def _revision_conflict(file: FileRow) -> RevisionConflict:
    return RevisionConflict(
        message="The file has changed since it was read.", revision=file.revision, path=("ifRevision",)
    )
