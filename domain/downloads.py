"""Downloads: a file's bytes opened for a viewer or a signed link, and the record of what was sent."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Self
from uuid import UUID

from db import downloads
from db.downloads import ContentRow
from db.engine import Rows, Transaction
from domain.analytics_deltas import Sent, deltas_of_downloads
from domain.errors import BadCredential, ExpiredCredential, FileDamaged, InvalidInput
from domain.events import EventKind, RequestFacts
from domain.ports import Ports
from domain.scopes import Scope
from domain.viewer import Viewer

MAXIMUM_LINK_SECONDS = 7 * 24 * 60 * 60
_PURPOSE = "download"


class Disposition(StrEnum):
    """What a browser is told to do with the bytes: keep them as a file, or show them where that is safe."""

    ATTACHMENT = "attachment"
    INLINE = "inline"


class Wanted(NamedTuple):
    """A file's current content, or a version of it, and the user who wants it.

    `session_id` is the session that the user asks by; without one, by a signed link, a version has to be named.
    """

    user_id: UUID
    file_id: UUID
    version_id: UUID | None
    session_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """One content of a file, opened for a user.

    `modified_at` is when the content came to be. `is_pinned` says that the version was named, so that no other content
    can ever stand in its place.
    """

    user_id: UUID
    file_id: UUID
    version_id: UUID
    workspace_id: UUID
    name: str
    size: int
    media_type: str
    digest: str
    blob_key: str
    number: int
    modified_at: datetime
    is_pinned: bool
    is_damaged: bool = False

    @classmethod
    def of(cls, content: ContentRow, *, is_pinned: bool) -> Self:
        """The download of a content that its user may read."""
        return cls(
            user_id=content.user_id,
            file_id=content.file_id,
            version_id=content.version_id,
            workspace_id=content.workspace_id,
            name=content.name,
            size=content.size,
            media_type=content.media_type,
            digest=content.digest,
            blob_key=content.blob_key,
            number=content.number,
            modified_at=content.created_at,
            is_pinned=is_pinned,
            is_damaged=content.damage is not None,
        )

    def require_whole(self) -> Self:
        """The download itself, unless its bytes are known to be damaged. Raises FileDamaged."""
        if self.is_damaged:
            raise FileDamaged
        return self


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What a signed URL is to be good for."""

    file_id: UUID
    version_id: UUID
    disposition: Disposition
    expires_in_seconds: int


@dataclass(frozen=True, slots=True)
class SignedDownload:
    """What a signed URL says. `expires` is in seconds since 1970; `signer_id` is the user whose right it lends."""

    file_id: UUID
    version_id: UUID
    disposition: Disposition
    expires: int
    signer_id: UUID
    signature: str

    @property
    def parts(self) -> tuple[str, ...]:
        """What is signed, in order."""
        return _parts(self.file_id, self.version_id, self.disposition, self.expires, self.signer_id)


class DownloadRecord(NamedTuple):
    """One download as history keeps it. `sent` counts the bytes that really went out, over all its ranges.

    `event_id` stays the same while a download goes on; `may_exist` says that it may have been written before.
    """

    event_id: UUID
    download: Download
    facts: RequestFacts
    sent: int
    ended_at: datetime
    may_exist: bool


async def open_all(rows: Rows, wanted: Collection[Wanted]) -> dict[Wanted, Download]:
    """Open contents for the users who want them, with one select for each way to ask however many.

    What is missing from the answer is absent, not ready, or not that user's to see, and no difference is made: the
    right, that the user is not disabled and that the session has not ended are part of the select.
    """
    lent = [want for want in wanted if not want.session_id]
    named = [want for want in wanted if want.session_id and want.version_id]
    current = [want for want in wanted if want.session_id and not want.version_id]
    opened: dict[Wanted, Download] = {}
    if current:
        files = _distinct(want.file_id for want in current)
        contents = await downloads.current_contents(rows, _sessions(current), files)
        opened |= {_wanted(row)._replace(version_id=None): Download.of(row, is_pinned=False) for row in contents}
    if named:
        contents = await downloads.named_contents(rows, _sessions(named), _versions(named))
        opened |= {_wanted(row): Download.of(row, is_pinned=True) for row in contents}
    if lent:
        users = _distinct(want.user_id for want in lent)
        contents = await downloads.lent_contents(rows, users, _versions(lent))
        opened |= {_wanted(row): Download.of(row, is_pinned=True) for row in contents}
    return opened


def wanted_by(ports: Ports, link: SignedDownload) -> Wanted:
    """What a signed URL asks for, in its signer's name: it opens only while the signer has the right.

    Raises BadCredential and ExpiredCredential.
    """
    if not ports.signer.verify(link.signature, *link.parts):
        raise BadCredential(message="The link is not valid.")
    if ports.clock.now().timestamp() >= link.expires:
        raise ExpiredCredential(message="The link has expired.")
    return Wanted(link.signer_id, link.file_id, link.version_id)


def sign_download(ports: Ports, viewer: Viewer, terms: LinkTerms) -> str:
    """A URL that opens one version, with one disposition, for as long as it lasts and the viewer keeps the right.

    What an API key signs lends the right of its owner, as a session's does, and goes on when the key ends.

    Raises NotSignedIn, ScopeMissing, and InvalidInput unless it lasts between a second and seven days.
    """
    user_id = viewer.required(Scope.FILES_READ)
    if not 1 <= terms.expires_in_seconds <= MAXIMUM_LINK_SECONDS:
        raise InvalidInput(
            message=f"A link lasts between 1 and {MAXIMUM_LINK_SECONDS} seconds, not {terms.expires_in_seconds}.",
            path=("expiresInSeconds",),
        )
    expires = int(ports.clock.now().timestamp()) + terms.expires_in_seconds
    signature = ports.signer.sign(*_parts(terms.file_id, terms.version_id, terms.disposition, expires, user_id))
    return (
        f"{ports.public_url.rstrip('/')}/files/file_{terms.file_id.hex}/versions/ver_{terms.version_id.hex}/download"
        f"?disposition={terms.disposition}&expires={expires}&signer=user_{user_id.hex}&signature={signature}"
    )


async def record_downloads(tx: Transaction, records: Sequence[DownloadRecord]) -> None:
    """Write what was sent: new downloads and all that is counted in one statement, those that went on in another."""
    known = [record.event_id for record in records if record.may_exist]
    written = await downloads.written(tx, known) if known else {}
    fresh = [record for record in records if record.event_id not in written]
    grown = [record for record in records if written.get(record.event_id, (record.sent,))[0] != record.sent]
    sent = [_sent(record, record.ended_at, record.sent, 1) for record in fresh]
    # What went on counts on the day that it is known under, which is not changed.
    before = [(record, *written[record.event_id]) for record in grown]
    sent += [_sent(record, at, record.sent - size, 0) for record, size, at in before]
    if sent:
        await downloads.record(tx, [_event_row(record) for record in fresh], deltas_of_downloads(sent))
    if grown:
        await downloads.resize(tx, {record.event_id: record.sent for record in grown})


def _sent(record: DownloadRecord, at: datetime, size: int, downloads: int) -> Sent:
    return Sent(record.download.workspace_id, record.download.user_id, at, size, downloads)


def _event_row(record: DownloadRecord) -> dict[str, object]:
    """What `domain.events.event` makes, without the object: it would cost more than all else a small download does."""
    download = record.download
    return {
        "id": record.event_id,
        "kind": EventKind.FILE_DOWNLOADED,
        "actor_id": download.user_id,
        "workspace_id": download.workspace_id,
        "target_id": download.file_id,
        "size": record.sent,
        "data": {"versionId": str(download.version_id)},
        "address": record.facts.address,
        "request_id": record.facts.request_id,
        "created_at": record.ended_at,
    }


def _parts(file_id: UUID, version_id: UUID, disposition: Disposition, expires: int, signer_id: UUID) -> tuple[str, ...]:
    return _PURPOSE, file_id.hex, version_id.hex, disposition, str(expires), signer_id.hex


def _wanted(row: ContentRow) -> Wanted:
    return Wanted(row.user_id, row.file_id, row.version_id, row.session_id)


def _sessions(wanted: Iterable[Wanted]) -> list[UUID]:
    return _distinct(want.session_id for want in wanted if want.session_id)


def _versions(wanted: Iterable[Wanted]) -> list[UUID]:
    return _distinct(want.version_id for want in wanted if want.version_id)


def _distinct(ids: Iterable[UUID]) -> list[UUID]:
    return list(dict.fromkeys(ids))
