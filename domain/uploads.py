"""Bytes on their way in: judged before they are read, counted while they pass, and kept until a file claims them."""

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from db.engine import Database
from domain.access import writable_workspace
from domain.errors import DigestMismatch, FileTooLarge, InvalidInput, RateLimited, Unavailable
from domain.files import judge_revision, writable_file
from domain.idempotency import Asked, asked_by
from domain.ledger import Room, rooms_of
from domain.media import HEAD_BYTES
from domain.names import clean_name, judge_extension
from domain.policy import UploadPolicy
from domain.ports import Ports
from domain.rates import Allowance
from domain.scopes import Scope
from domain.upload_errors import QuotaExceeded
from domain.viewer import Viewer
from storage.keys import new_key
from storage.store import BlobStore, BlobWriter, Stored, StoreError, StoreFull

DIGEST = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Replaced:
    """A file that is to have another version, if it is still at `revision`; None: whatever revision it is at."""

    file_id: UUID
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an upload may go, what is left of the limits there, and the name of the file that it is to replace."""

    workspace_id: UUID
    rooms: Sequence[Room]
    replaced_name: str | None = None
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class UploadIntent:
    """What a mutation's input says of one upload, before any byte. None: not said.

    `upload_id` is one of the client's choosing, under which the upload can be watched.
    """

    name: str | None = None
    workspace_id: UUID | None = None
    digest: str | None = None
    replaces: Replaced | None = None
    upload_id: UUID | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What the head of a file part says. None: not said. `declared_size` is in bytes."""

    filename: str | None = None
    media_type: str | None = None
    declared_size: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The rules' yes to one upload, with the largest size in bytes that it covers, as far as there is room."""

    workspace_id: UUID
    name: str
    declared_media_type: str | None
    digest: str | None
    limit: int
    declared_size: int | None = None
    rooms: Sequence[Room] = ()
    replaces: Replaced | None = None
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes that lie in the store and are not a file yet. `head` holds their first `HEAD_BYTES`.

    `upload_id` is the upload that they came by, where there is a row of it, and `reserved` what is held back for it.
    """

    admission: Admission
    stored: Stored
    head: bytes
    upload_id: UUID | None = None
    reserved: int = 0


def asked_for(viewer: Viewer, intent: UploadIntent) -> Asked | None:
    """The request of one upload of `uploadFile`, where it has a key. What its bytes are is another question.

    Raises NotSignedIn, ScopeMissing and InvalidInput.
    """
    user_id, replaces = viewer.required(Scope.FILES_WRITE), intent.replaces
    said = (intent.name, intent.workspace_id, intent.digest, replaces and (replaces.file_id, replaces.revision))
    return asked_by(user_id, intent.idempotency_key, "uploadFile", *said)


async def admit_intent(db: Database, ports: Ports, viewer: Viewer, intent: UploadIntent) -> Destination:
    """Judge what the operation alone tells; where the file will belong.

    Raises NotSignedIn, ScopeMissing, NotFound, Forbidden, RevisionConflict and InvalidInput.
    """
    if intent.digest is not None and not DIGEST.fullmatch(intent.digest):
        viewer.required(Scope.FILES_WRITE)
        raise InvalidInput(message="A digest is a SHA-256 in 64 hexadecimal digits.", path=("digest",))
    if intent.upload_id is not None and intent.upload_id.int == 0:  # what names nothing
        viewer.required(Scope.FILES_WRITE)
        raise InvalidInput(message="The id of an upload is `upl_` and 32 hexadecimal digits.", path=("uploadId",))
    asked = asked_for(viewer, intent)
    if intent.replaces is None:
        access = await writable_workspace(db, viewer, intent.workspace_id)
        rooms = rooms_of(ports.workspace_policy, access.membership)
        return Destination(access.workspace_id, rooms, asked=asked)
    async with db.reading() as rows:
        file = await writable_file(rows, viewer, intent.replaces.file_id, ("replaces",))
        judge_revision(file, intent.replaces.revision)
    if intent.name is not None or intent.workspace_id not in {None, file.workspace_id}:
        sentence = "A new version has the name and the workspace of its file."
        raise InvalidInput(message=sentence, path=("name" if intent.name is not None else "workspaceId",))
    access = await writable_workspace(db, viewer, file.workspace_id)
    rooms = rooms_of(ports.workspace_policy, access.membership)
    return Destination(access.workspace_id, rooms, file.name, asked)


def admit_part(policy: UploadPolicy, place: Destination, intent: UploadIntent, part: Part) -> Admission:
    """Judge the head of a file part. The input's name wins over the part's filename.

    Raises InvalidInput, ExtensionNotAllowed, FileTooLarge and QuotaExceeded.
    """
    raw_name = intent.name if intent.name is not None else place.replaced_name or part.filename
    if raw_name is None:
        raise InvalidInput(message="The file has no name: give one in the input or in the part.", path=("name",))
    name = clean_name(raw_name)
    judge_extension(name, policy)
    if part.declared_size is not None and part.declared_size > policy.maximum_file_bytes:
        raise too_large(policy.maximum_file_bytes)
    for room in place.rooms:
        room.judge(part.declared_size or 0)
    digest = intent.digest.lower() if intent.digest is not None else None
    return Admission(
        workspace_id=place.workspace_id,
        name=name,
        declared_media_type=part.media_type,
        digest=digest,
        limit=policy.maximum_file_bytes,
        declared_size=part.declared_size,
        rooms=place.rooms,
        replaces=intent.replaces,
        asked=place.asked,
    )


class Receiver:
    """One upload's bytes into the store. Whatever it raises, it has removed what it stored."""

    def __init__(self, admission: Admission, allowance: Allowance, writer: BlobWriter) -> None:
        self._admission = admission
        self._allowance = allowance
        self._writer = writer
        self._head = bytearray()
        self._size = 0

    @classmethod
    async def begin(cls, store: BlobStore, admission: Admission, allowance: Allowance, key: str | None = None) -> Self:
        """Open a blob for the upload, under a new key unless one is given. Raises RateLimited and Unavailable."""
        await allowance.begin(admission.declared_size)
        try:
            return cls(admission, allowance, await store.create(key or new_key()))
        except StoreError as error:
            await allowance.abandon(0)
            raise unavailable(error) from error

    async def write(self, data: bytes) -> None:
        """Take the next bytes. Raises FileTooLarge, QuotaExceeded, RateLimited and Unavailable."""
        self._size += len(data)
        if self._size > self._admission.limit:
            await self.abandon()
            raise too_large(self._admission.limit)
        await self._judge_room()
        await self._count(self._allowance.grow(self._size))
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        try:
            await self._writer.write(data)
        except StoreError as error:
            await self.abandon()
            raise unavailable(error) from error

    async def finish(self) -> Received:
        """Make the bytes durable. Raises DigestMismatch, RateLimited and Unavailable."""
        await self._count(self._allowance.finish(self._size))
        try:
            stored = await self._writer.finish()
        except StoreError as error:
            await self.abandon()
            raise unavailable(error) from error
        expected = self._admission.digest
        if expected is not None and expected != stored.digest:
            await self.abandon()
            raise mismatch(expected, stored.digest)
        return Received(self._admission, stored, bytes(self._head))

    async def abandon(self) -> None:
        """Remove what was stored. May be called at any time, also again."""
        await self._allowance.abandon(self._size)
        await self._writer.abandon()

    async def _judge_room(self) -> None:
        # As of the beginning, so that what cannot fit is not received to its end. What fits is decided at the end.
        try:
            for room in self._admission.rooms:
                room.judge(self._size)
        except QuotaExceeded:
            await self.abandon()
            raise

    async def _count(self, counting: Awaitable[None]) -> None:
        try:
            await counting
        except RateLimited:
            await self.abandon()
            raise


def mismatch(expected: str, actual: str) -> DigestMismatch:
    """Other bytes came than were announced."""
    message = "The bytes that arrived are not those whose digest was given."
    return DigestMismatch(message=message, expected=expected, actual=actual, path=("digest",))


def too_large(limit: int) -> FileTooLarge:
    """The file has more bytes than any may have."""
    return FileTooLarge(message=f"The file is larger than {limit} bytes.", limit=limit, path=("file",))


def unavailable(error: StoreError) -> Unavailable:
    """What a client is told of a store that cannot do its part."""
    if isinstance(error, StoreFull):
        return Unavailable(message="The service has no room for the file at present.")
    return Unavailable(message="The service cannot store the file at present.")
