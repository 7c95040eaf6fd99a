"""New files: received bytes are inspected and become files, or are removed. Every way in for bytes ends here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from uuid_utils.compat import uuid7

from db.engine import Database, Transaction
from db.models import Blob, Event, File, FileStatus, Version
from db.rows import FileRow
from domain import media
from domain.access import Access, held_workspaces
from domain.blobs import delete, release
from domain.errors import MediaTypeNotAllowed, Refusal
from domain.events import EventKind, RequestFacts, Subject, event_values
from domain.media import Inspection
from domain.names import fold
from domain.ports import Ports
from domain.scopes import Scope
from domain.uploads import Received
from domain.viewer import Viewer
from storage.store import BlobStore


@dataclass(frozen=True, slots=True)
class Upload:
    """What one request brings: for each upload the received bytes, or the refusal that they met."""

    ports: Ports
    viewer: Viewer
    facts: RequestFacts
    arrivals: Sequence[Received | Refusal]


@dataclass(frozen=True, slots=True)
class Inspected:
    """Received bytes that are what their name says."""

    received: Received
    inspection: Inspection


@dataclass(frozen=True, slots=True, eq=False)
class _Creation:
    upload: Upload
    inspected: Sequence[Inspected]


async def create_files(db: Database, store: BlobStore, upload: Upload) -> list[FileRow | Refusal]:
    """Make files of received bytes; what became of each, in order. Bytes that become none are removed.

    Requests that come to this point at the same time share a transaction: the disk is waited for once. Whatever is
    raised leaves the bytes to their lease, since the rows may have been committed all the same. Raises NotSignedIn and
    ScopeMissing.
    """
    upload.viewer.required(Scope.FILES_WRITE)
    judged = [_inspect(arrival) if isinstance(arrival, Received) else arrival for arrival in upload.arrivals]
    creation = _Creation(upload, [item for item in judged if isinstance(item, Inspected)])
    created = iter(await db.share(_create_all, creation) if creation.inspected else [])
    outcomes = [next(created) if isinstance(item, Inspected) else item for item in judged]
    for arrival, outcome in zip(upload.arrivals, outcomes, strict=True):
        if isinstance(arrival, Received):
            await (delete if isinstance(outcome, Refusal) else release)(store, arrival.stored.key)
    return outcomes


def _inspect(received: Received) -> Inspected | Refusal:
    # In the loop: it takes tens of microseconds, less than a hop to a thread, and a few milliseconds at the worst.
    admission = received.admission
    inspection = media.inspect(admission.name, received.head)
    if not inspection.agrees:
        return MediaTypeNotAllowed(
            message=f"The name says one thing, the bytes another: they are {inspection.detected}.",
            declared=admission.declared_media_type,
            detected=inspection.detected,
            allowed=inspection.allowed,
            path=("file",),
        )
    return Inspected(received, inspection)


async def _create_all(tx: Transaction, creations: Sequence[_Creation]) -> list[list[FileRow | Refusal]]:
    asked = [
        (creation.upload.viewer, inspected.received.admission.workspace_id)
        for creation in creations
        for inspected in creation.inspected
    ]
    # Asked again, since the right may have been lost while the bytes came in.
    judged = iter(await held_workspaces(tx, asked))
    made: list[tuple[Upload, Inspected, FileRow]] = []
    outcomes: list[list[FileRow | Refusal]] = []
    for creation in creations:
        upload, now = creation.upload, creation.upload.ports.clock.now()
        rows = [_outcome(upload.viewer, next(judged), inspected, now) for inspected in creation.inspected]
        pairs = zip(creation.inspected, rows, strict=True)
        made += [(upload, inspected, row) for inspected, row in pairs if isinstance(row, FileRow)]
        outcomes.append(rows)
    if made:
        await tx.insert(Blob, [_blob(upload.ports, inspected, row) for upload, inspected, row in made])
        await tx.insert(File, [_file(row) for _, _, row in made])
        await tx.insert(Version, [_version(inspected, row) for _, inspected, row in made])
        await tx.insert(Event, [_uploaded(row, upload.facts) for upload, _, row in made])
    return outcomes


def _outcome(viewer: Viewer, access: Access | Refusal, inspected: Inspected, now: datetime) -> FileRow | Refusal:
    if isinstance(access, Refusal):
        return access
    admission, stored = inspected.received.admission, inspected.received.stored
    return FileRow(
        id=uuid7(),
        workspace_id=access.workspace_id,
        uploaded_by_id=viewer.user_id,
        name=admission.name,
        version_id=uuid7(),
        size=stored.size,
        media_type=inspected.inspection.media_type,
        declared_media_type=admission.declared_media_type,
        digest=stored.digest,
        status=FileStatus.READY,
        revision=1,
        created_at=now,
        updated_at=now,
        viewer_role=access.role,
    )


def _blob(ports: Ports, inspected: Inspected, row: FileRow) -> dict[str, Any]:
    stored = inspected.received.stored
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


def _version(inspected: Inspected, row: FileRow) -> dict[str, Any]:
    return {
        "id": row.version_id,
        "file_id": row.id,
        "number": 1,
        "blob_key": inspected.received.stored.key,
        "size": row.size,
        "media_type": row.media_type,
        "declared_media_type": row.declared_media_type,
        "digest": row.digest,
        "created_by_id": row.uploaded_by_id,
        "created_at": row.created_at,
    }


def _uploaded(row: FileRow, facts: RequestFacts) -> dict[str, Any]:
    subject = Subject(row.uploaded_by_id, row.workspace_id, row.id, row.size, {"mediaType": row.media_type})
    return event_values(EventKind.FILE_UPLOADED, subject, facts, row.created_at)
