"""Files: found, listed, renamed and purged, always for a viewer. They are made in `domain.new_files`."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db import files, versions
from db.engine import Rows, Transaction
from db.models import Event
from db.questions import FileFilter, FileOrderField, Page, Window
from db.rows import FileRow, VersionRow
from domain import ledger
from domain.access import may_write
from domain.errors import Forbidden, InvalidInput, MediaTypeNotAllowed, NotFound, Refusal, RevisionConflict
from domain.events import EventKind, RequestFacts, Subject, event_values
from domain.file_changes import tell_change
from domain.media import agrees, media_types_of
from domain.names import clean_name, extension_of, fold, judge_extension
from domain.ports import Ports
from domain.removals import remove_files
from domain.scopes import Scope
from domain.viewer import Viewer

BULK_MAXIMUM = 100
NO_SUCH_FILE = "There is no such file."


@dataclass(frozen=True, slots=True)
class Rename:
    """Another name for a file. `revision`, when given, is the one that the client has read."""

    file_id: UUID
    name: str
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What became of each id, in the order asked, the versions that were current, and the blobs whose bytes can go."""

    outcomes: list[FileRow | Refusal]
    versions: list[VersionRow]
    blob_keys: list[str]


async def by_ids(rows: Rows, viewer: Viewer, file_ids: Sequence[UUID]) -> list[FileRow]:
    """Those of the files that the viewer may see, in no particular order; none for nobody.

    Raises ScopeMissing.
    """
    user_id = viewer.known(Scope.FILES_READ)
    return await files.by_ids(rows, user_id, file_ids) if user_id else []


async def page(
    rows: Rows, viewer: Viewer, where: FileFilter, order: tuple[FileOrderField, bool], window: Window
) -> Page[FileRow]:
    """A window of the files that the viewer may see. Raises NotSignedIn and ScopeMissing."""
    return await files.page(rows, viewer.required(Scope.FILES_READ), where, order, window)


async def count(rows: Rows, viewer: Viewer, where: FileFilter) -> int:
    """How many files the viewer may see. Raises NotSignedIn and ScopeMissing."""
    return await files.count(rows, viewer.required(Scope.FILES_READ), where)


async def rename_file(tx: Transaction, ports: Ports, viewer: Viewer, change: Rename, facts: RequestFacts) -> FileRow:
    """Give a file another name, judged as that of an upload is; its type must still agree with the extension.

    Raises NotSignedIn, ScopeMissing, NotFound, Forbidden, InvalidInput, ExtensionNotAllowed, MediaTypeNotAllowed and
    RevisionConflict.
    """
    file = await writable_file(tx, viewer, change.file_id)
    name = clean_name(change.name)
    judge_extension(name, ports.policy)
    judge_type(name, file.media_type, file.declared_media_type)
    judge_revision(file, change.revision)
    now = ports.clock.now()
    if not await files.rename(tx, file, name, fold(name), now):
        raise _revision_conflict(file)
    subject = Subject(viewer.user_id, file.workspace_id, file.id, data={"from": file.name, "to": name})
    renamed = event_values(EventKind.FILE_RENAMED, subject, facts, now)
    await tx.insert(Event, [renamed])
    tell_change(tx, renamed)
    return file._replace(name=name, revision=file.revision + 1, updated_at=now)


async def purge_files(
    tx: Transaction, ports: Ports, viewer: Viewer, file_ids: Sequence[UUID], facts: RequestFacts
) -> Purged:
    """Remove up to 100 files for good, each by its own right.

    The bytes go after the transaction: their blobs are marked here. Raises NotSignedIn, ScopeMissing and InvalidInput.
    """
    user_id, now = viewer.required(Scope.FILES_WRITE), ports.clock.now()
    if len(file_ids) > BULK_MAXIMUM:
        raise InvalidInput(message=f"Name at most {BULK_MAXIMUM} files, not {len(file_ids)}.", path=("ids",))
    seen = {row.id: row for row in await files.by_ids(tx, user_id, file_ids)}
    allowed = [file for file in seen.values() if may_write(file.viewer_role)]
    current = await versions.by_ids(tx, user_id, [file.version_id for file in allowed])
    removed = await remove_files(tx, [file.id for file in allowed], now)
    purged = [file for file in allowed if file.id in removed.file_ids]
    subjects = [Subject(user_id, file.workspace_id, file.id, file.size) for file in purged]
    events = [event_values(EventKind.FILE_PURGED, subject, facts, now) for subject in subjects]
    if events:
        await tx.insert(Event, events)
    for values in events:
        tell_change(tx, values)
    await ledger.post(tx, ports.workspace_policy, removed.changes)
    # A file that somebody else purged a moment ago was seen, but is not there to be purged.
    here = {
        file_id: file
        for file_id, file in seen.items()
        if file_id in removed.file_ids or not may_write(file.viewer_role)
    }
    return Purged([_purgeable(here.get(file_id)) for file_id in file_ids], current, removed.blob_keys)


async def writable_file(rows: Rows, viewer: Viewer, file_id: UUID, path: tuple[str, ...] = ("id",)) -> FileRow:
    """A file that the viewer may change. Raises NotSignedIn, ScopeMissing, NotFound and Forbidden."""
    found = await files.by_ids(rows, viewer.required(Scope.FILES_WRITE), [file_id])
    if not found:
        raise no_such_file(path)
    if not may_write(found[0].viewer_role):
        raise viewers_cannot()
    return found[0]


def no_such_file(path: tuple[str, ...] = ("id",)) -> NotFound:
    """Absent, or not the viewer's to see."""
    return NotFound(message=NO_SUCH_FILE, path=path)


def _purgeable(file: FileRow | None) -> FileRow | Refusal:
    if file is None:
        return no_such_file(())
    return file if may_write(file.viewer_role) else viewers_cannot()


def judge_type(name: str, media_type: str, declared: str | None) -> None:
    """Do nothing when a file that was found to be of this type may be called so. Raises MediaTypeNotAllowed."""
    if not agrees(name, media_type):
        raise MediaTypeNotAllowed(
            message=f"A file of type {media_type} cannot have this extension.",
            declared=declared,
            detected=media_type,
            allowed=media_types_of(extension_of(name)),
            path=("name",),
        )


def viewers_cannot() -> Forbidden:
    """The viewer sees the files of the workspace, and no more."""
    return Forbidden(message="Viewers of a workspace cannot change its files.")


def judge_revision(file: FileRow, revision: int | None) -> None:
    """Do nothing when a file is at the revision that the client has read, or none is said. Raises RevisionConflict."""
    if revision not in {None, file.revision}:
        raise _revision_conflict(file)


def _revision_conflict(file: FileRow) -> RevisionConflict:
    return RevisionConflict(
        message="The file has changed since it was read.", revision=file.revision, path=("ifRevision",)
    )
