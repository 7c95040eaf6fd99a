"""The rows of received bytes: blob, file or another version of one, event, and what the ledger and the upload say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from uuid_utils.compat import uuid7

from db import files, new_versions, uploads
from db.engine import Transaction
from db.models import FileStatus
from db.new_versions import NewRows
from db.rows import FileRow
from domain import ledger, topics
from domain.access import Access
from domain.analytics_deltas import deltas_of, turned
from domain.errors import Refusal
from domain.events import EventKind, RequestFacts, Subject, event_values
from domain.file_changes import tell_change
from domain.files import judge_revision, judge_type, no_such_file
from domain.idempotency import Result, remember
from domain.ledger import Change
from domain.media import Inspection
from domain.names import fold
from domain.ports import Ports
from domain.upload_errors import UploadEnded
from domain.uploads import Received
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Received bytes that are what their name says, and who brought them."""

    ports: Ports
    viewer: Viewer
    facts: RequestFacts
    received: Received
    inspection: Inspection


@dataclass(frozen=True, slots=True)
class _Made:
    newcomer: Newcomer
    file: FileRow
    number: int
    former_media_type: str | None = None


class NewVersions:
    """What one transaction makes of newcomers: judged one after the other by `add`, written together by `write`."""

    def __init__(self, replaced: dict[UUID, tuple[FileRow, int]], live: set[UUID], now: datetime) -> None:
        self._replaced = replaced
        self._live = live
        # One for all: what is counted has the day of its event, also at midnight.
        self._now = now
        self._made: list[_Made] = []

    @classmethod
    async def begin(cls, tx: Transaction, newcomers: Sequence[Newcomer]) -> Self:
        """Lock what exists of them, one at least: the files they replace, and the uploads they came by."""
        replaced = {each.received.admission.replaces.file_id for each in newcomers if each.received.admission.replaces}
        came_by = {each.received.upload_id for each in newcomers if each.received.upload_id}
        return cls(
            await files.lock_with_numbers(tx, sorted(replaced)) if replaced else {},
            await uploads.lock_live(tx, sorted(came_by)) if came_by else set(),
            newcomers[0].ports.clock.now(),
        )

    def add(self, newcomer: Newcomer, access: Access | Refusal) -> FileRow | Refusal:
        """The file that a newcomer makes or changes, or why it does neither."""
        upload_id = newcomer.received.upload_id
        if isinstance(access, Refusal):
            return access
        if upload_id is not None and upload_id not in self._live:
            return UploadEnded(message="The upload has ended meanwhile.", state="ABORTED")
        try:
            made = self._made_of(newcomer, access)
        except Refusal as refusal:
            return refusal
        self._made.append(made)
        return made.file

    async def write(self, tx: Transaction) -> None:
        """Write everything that was added; the ledger last, and keys after it. Raises QuotaExceeded and KeyTaken."""
        if not self._made:
            return
        ports = self._made[0].newcomer.ports
        changes = [_change(made) for made in self._made]
        turns = [turn for made in self._made for turn in _turns(made)]
        new = NewRows(
            blobs=[_blob(made) for made in self._made],
            files=[_file(made.file) for made in self._made if made.number == 1],
            versions=[_version(made) for made in self._made],
            events=[_event(made) for made in self._made],
            deltas=deltas_of([*changes, *turns], self._now),
        )
        await new_versions.add(tx, new)
        for values in new.events:
            tell_change(tx, values)
        for file, _ in self._replaced.values():
            await files.set_content(tx, file)
        for made in self._made:
            if made.newcomer.received.upload_id is not None:
                await uploads.commit(tx, made.newcomer.received.upload_id, made.file)
                topics.tell_upload(tx, made.newcomer.received.upload_id)
        await ledger.post(tx, ports.workspace_policy, changes)
        results = [Result(made.newcomer.received.admission.asked, made.file.version_id) for made in self._made]
        await remember(tx, results, self._now)

    def _made_of(self, newcomer: Newcomer, access: Access) -> _Made:
        now = self._now
        replaces = newcomer.received.admission.replaces
        if replaces is None:
            return _Made(newcomer, _new_file(newcomer, access, now), 1)
        file, number = self._replaced.get(replaces.file_id, (None, 0))
        if file is None or file.workspace_id != access.workspace_id:
            raise no_such_file(("replaces",))
        judge_revision(file, replaces.revision)
        judge_type(file.name, newcomer.inspection.media_type, newcomer.received.admission.declared_media_type)
        former = file.media_type
        file = file._replace(**_content(newcomer), revision=file.revision + 1, updated_at=now, viewer_role=access.role)
        self._replaced[file.id] = file, number + 1
        return _Made(newcomer, file, number + 1, former)


def _new_file(newcomer: Newcomer, access: Access, now: datetime) -> FileRow:
    return FileRow(
        id=uuid7(),
        workspace_id=access.workspace_id,
        uploaded_by_id=newcomer.viewer.user_id,
        name=newcomer.received.admission.name,
        **_content(newcomer),
        status=FileStatus.READY,
        revision=1,
        created_at=now,
        updated_at=now,
        viewer_role=access.role,
    )


def _content(newcomer: Newcomer) -> dict[str, Any]:
    stored = newcomer.received.stored
    return {
        "version_id": uuid7(),
        "size": stored.size,
        "media_type": newcomer.inspection.media_type,
        "declared_media_type": newcomer.received.admission.declared_media_type,
        "digest": stored.digest,
    }


def _blob(made: _Made) -> dict[str, Any]:
    stored = made.newcomer.received.stored
    return {
        "key": stored.key,
        "store": made.newcomer.ports.store_name,
        "size": stored.size,
        "digest": stored.digest,
        "crc32": stored.crc32,
        "created_at": made.file.updated_at,
    }


def _file(row: FileRow) -> dict[str, Any]:
    values = row._asdict()
    del values["viewer_role"]
    return values | {"name_folded": fold(row.name)}


def _version(made: _Made) -> dict[str, Any]:
    file = made.file
    return {
        "id": file.version_id,
        "file_id": file.id,
        "number": made.number,
        "blob_key": made.newcomer.received.stored.key,
        "size": file.size,
        "media_type": file.media_type,
        "declared_media_type": file.declared_media_type,
        "digest": file.digest,
        "created_by_id": made.newcomer.viewer.user_id,
        "created_at": file.updated_at,
    }


def _event(made: _Made) -> dict[str, Any]:
    file, is_new = made.file, made.number == 1
    data = {"mediaType": file.media_type}
    if not is_new:
        data |= {"versionId": str(file.version_id), "number": str(made.number)}
    subject = Subject(made.newcomer.viewer.user_id, file.workspace_id, file.id, file.size, data)
    kind = EventKind.FILE_UPLOADED if is_new else EventKind.FILE_REPLACED
    return event_values(kind, subject, made.newcomer.facts, file.updated_at)


def _change(made: _Made) -> Change:
    received = made.newcomer.received
    return Change(
        made.file.workspace_id,
        made.newcomer.viewer.user_id,
        used=received.stored.size,
        reserved=-received.reserved,
        files=1 if made.number == 1 else 0,
        media_type=made.file.media_type,
        uploads=1,
    )


def _turns(made: _Made) -> list[Change]:
    return [] if made.former_media_type is None else turned(made.file, made.former_media_type)
