"""Received bytes become files, or versions of files, or are removed. Every way in for bytes ends here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from db.engine import Database, Transaction
from db.rows import FileRow
from domain import media
from domain.access import held_workspaces
from domain.blobs import delete
from domain.errors import MediaTypeNotAllowed, Refusal
from domain.events import RequestFacts
from domain.files import writable_file
from domain.idempotency import KeyTaken, key_reused
from domain.ledger import OverQuota
from domain.media import Inspection
from domain.new_versions import Newcomer, NewVersions
from domain.ports import Ports
from domain.repeated_uploads import Repeated, uploaded_before
from domain.scopes import Scope
from domain.upload_errors import QuotaExceeded, UploadEnded
from domain.uploads import Received
from domain.viewer import Viewer
from storage.store import BlobStore


@dataclass(frozen=True, slots=True)
class Upload:
    """What one request brings: for each upload the received bytes, the file that they were before, or a refusal."""

    ports: Ports
    viewer: Viewer
    facts: RequestFacts
    arrivals: Sequence[Received | Repeated | Refusal]


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
    raised leaves the bytes to their lease, or to their upload, since the rows may have been committed all the same.
    Raises NotSignedIn and ScopeMissing.
    """
    upload.viewer.required(Scope.FILES_WRITE)
    judged = [_inspect(arrival) if isinstance(arrival, Received) else arrival for arrival in upload.arrivals]
    creation = _Creation(upload, [item for item in judged if isinstance(item, Inspected)])
    created = iter(await _created(db, creation) if creation.inspected else [])
    judgements = [next(created) if isinstance(item, Inspected) else item for item in judged]
    outcomes = [
        await _answered_before(db, upload, arrival, outcome)
        for arrival, outcome in zip(upload.arrivals, judgements, strict=True)
    ]
    for arrival, outcome in zip(upload.arrivals, outcomes, strict=True):
        # Whoever ended an upload meanwhile has settled what becomes of its bytes: they may be a file's already.
        if isinstance(arrival, Received) and not isinstance(outcome, UploadEnded):
            key = arrival.stored.key
            await (store.release(key) if isinstance(outcome, FileRow) else delete(store, key))
    return [await _shown(db, upload, outcome) if isinstance(outcome, Repeated) else outcome for outcome in outcomes]


async def _answered_before(
    db: Database, upload: Upload, arrival: Received | Repeated | Refusal, outcome: FileRow | Repeated | Refusal
) -> FileRow | Repeated | Refusal:
    """What becomes of an upload that was refused, since the same request may have made a file of it meanwhile."""
    if not isinstance(outcome, Refusal) or not isinstance(arrival, Received):
        return outcome
    try:
        version = await uploaded_before(db, upload.ports, upload.viewer, arrival.admission.asked)
    except Refusal as refusal:
        return refusal
    if version is None:
        return outcome
    return Repeated(version.file_id) if version.digest == arrival.stored.digest else key_reused()


async def _shown(db: Database, upload: Upload, repeated: Repeated) -> FileRow | Refusal:
    try:
        async with db.reading() as rows:
            return await writable_file(rows, upload.viewer, repeated.file_id)
    except Refusal as refusal:
        return refusal


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


async def _created(db: Database, creation: _Creation) -> list[FileRow | Refusal]:
    try:
        return await db.share(_create_all, creation)
    except (OverQuota, KeyTaken) as declined:
        if len(creation.inspected) == 1:
            return [declined.refusal]
    # Together they pass a limit, or use a key, that some of them may not: one after the other, each by itself.
    outcomes: list[FileRow | Refusal] = []
    for inspected in creation.inspected:
        outcomes += await _created(db, replace(creation, inspected=[inspected]))
    return outcomes


async def _create_all(tx: Transaction, creations: Sequence[_Creation]) -> list[list[FileRow | Refusal]]:
    newcomers = [
        Newcomer(creation.upload.ports, creation.upload.viewer, creation.upload.facts, item.received, item.inspection)
        for creation in creations
        for item in creation.inspected
    ]
    # Asked again, since the right may have been lost while the bytes came in.
    judged = await held_workspaces(tx, [(each.viewer, each.received.admission.workspace_id) for each in newcomers])
    versions = await NewVersions.begin(tx, newcomers)
    made = iter([versions.add(each, access) for each, access in zip(newcomers, judged, strict=True)])
    try:
        await versions.write(tx)
    except QuotaExceeded as refusal:
        raise OverQuota(refusal) from refusal
    return [[next(made) for _ in creation.inspected] for creation in creations]
