"""Versions of files: found, listed and restored, always for a viewer. New contents are for `domain.new_versions`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from db import files, versions
from db.engine import Rows, Transaction
from db.models import Event, Version
from db.questions import Page, Window
from db.rows import FileRow, VersionRow
from domain import ledger
from domain.access import held_workspace
from domain.analytics_deltas import count_changes, turned
from domain.errors import Forbidden, NotFound
from domain.events import EventKind, RequestFacts, Subject, event_values
from domain.file_changes import tell_change
from domain.files import judge_revision, judge_type, no_such_file, viewers_cannot, writable_file
from domain.ledger import Change
from domain.ports import Ports
from domain.scopes import Scope
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Restoration:
    """A file that is to have an older content again. `revision`, when given, is the one that the client has read."""

    file_id: UUID
    version_id: UUID
    revision: int | None = None


async def by_ids(rows: Rows, viewer: Viewer, version_ids: Sequence[UUID]) -> list[VersionRow]:
    """Those of the versions whose files the viewer may see, in no particular order; none for nobody.

    Raises ScopeMissing.
    """
    user_id = viewer.known(Scope.FILES_READ)
    return await versions.by_ids(rows, user_id, version_ids) if user_id else []


async def pages(
    rows: Rows, viewer: Viewer, file_ids: Sequence[UUID], window: Window
) -> Mapping[UUID, Page[VersionRow]]:
    """For each file that the viewer may see a window of its versions, the newest first.

    Raises NotSignedIn and ScopeMissing.
    """
    return await versions.pages(rows, viewer.required(Scope.FILES_READ), file_ids, window)


async def counts(rows: Rows, viewer: Viewer, file_ids: Sequence[UUID], _: None) -> Mapping[UUID, int]:
    """For each file how many versions `pages` has. Raises NotSignedIn and ScopeMissing."""
    return await versions.counts(rows, viewer.required(Scope.FILES_READ), file_ids)


async def restore_version(
    tx: Transaction, ports: Ports, viewer: Viewer, restoration: Restoration, facts: RequestFacts
) -> FileRow:
    """Make an older content the newest version of its file; it counts once more, though its bytes are kept once.

    A file that has this content already stays as it is. Raises NotSignedIn, ScopeMissing, NotFound, Forbidden,
    MediaTypeNotAllowed when the file is called otherwise by now, RevisionConflict and QuotaExceeded.
    """
    user_id = viewer.required(Scope.FILES_WRITE)
    file, number = await _held(tx, viewer, restoration)
    judge_revision(file, restoration.revision)
    known = {row.id: row for row in await versions.by_ids(tx, user_id, [restoration.version_id, file.version_id])}
    older, current = known.get(restoration.version_id), known[file.version_id]
    if older is None or older.file_id != file.id:
        raise NotFound(message="The file has no such version.", path=("versionId",))
    if older.blob_key == current.blob_key:
        return file
    judge_type(file.name, older.media_type, older.declared_media_type)
    now = ports.clock.now()
    file = file._replace(**_content(older), version_id=uuid7(), revision=file.revision + 1, updated_at=now)
    data = {"versionId": str(file.version_id), "number": str(number + 1), "from": str(older.number)}
    subject = Subject(user_id, file.workspace_id, file.id, file.size, data)
    made = Version(
        **_content(older),
        id=file.version_id,
        file_id=file.id,
        number=number + 1,
        blob_key=older.blob_key,
        created_by_id=user_id,
        created_at=now,
    )
    restored = event_values(EventKind.FILE_RESTORED, subject, facts, now)
    await tx.add(made)
    await tx.insert(Event, [restored])
    tell_change(tx, restored)
    await files.set_content(tx, file)
    change = Change(file.workspace_id, user_id, used=file.size, media_type=file.media_type)
    await count_changes(tx, [change, *turned(file, current.media_type)], now)
    await ledger.post(tx, ports.workspace_policy, [change])
    return file


async def _held(tx: Transaction, viewer: Viewer, restoration: Restoration) -> tuple[FileRow, int]:
    """A file that the viewer may change, locked as one that is replaced is, and the number of its newest version."""
    seen = await writable_file(tx, viewer, restoration.file_id)
    # Right and file may be gone by the time that the locks are had.
    try:
        access = await held_workspace(tx, viewer, seen.workspace_id)
    except NotFound:
        raise no_such_file() from None
    except Forbidden:
        raise viewers_cannot() from None
    locked = await files.lock_with_numbers(tx, [seen.id])
    if seen.id not in locked:
        raise no_such_file()
    file, number = locked[seen.id]
    return file._replace(viewer_role=access.role), number


def _content(version: VersionRow) -> dict[str, Any]:
    return {
        "size": version.size,
        "media_type": version.media_type,
        "declared_media_type": version.declared_media_type,
        "digest": version.digest,
    }
