"""Bytes on their way in: judged before they are read, counted while they pass, and kept until a file claims them."""

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from db.engine import Database
from domain.access import writable_workspace
from domain.errors import DigestMismatch, FileTooLarge, InvalidInput, RateLimited, Unavailable
from domain.media import HEAD_BYTES
from domain.names import clean_name, judge_extension
from domain.policy import UploadPolicy
from domain.rates import Allowance
from domain.viewer import Viewer
from storage.keys import new_key
from storage.store import BlobStore, BlobWriter, Stored, StoreError, StoreFull

DIGEST = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class UploadIntent:
    """What a mutation's input says of one upload, before any byte. None: not said."""

    name: str | None = None
    workspace_id: UUID | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What the head of a file part says. None: not said. `declared_size` is in bytes."""

    filename: str | None = None
    media_type: str | None = None
    declared_size: int | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The rules' yes to one upload, with the largest size in bytes that it covers."""

    workspace_id: UUID
    name: str
    declared_media_type: str | None
    digest: str | None
    limit: int
    declared_size: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes that lie in the store and are not a file yet. `head` holds their first `HEAD_BYTES`."""

    admission: Admission
    stored: Stored
    head: bytes


async def admit_intent(db: Database, viewer: Viewer, intent: UploadIntent) -> UUID:
    """Judge what the operation alone tells; the workspace that the file will belong to.

    Raises NotSignedIn, ScopeMissing, NotFound, Forbidden and InvalidInput.
    """
    access = await writable_workspace(db, viewer, intent.workspace_id)
    if intent.digest is not None and not DIGEST.fullmatch(intent.digest):
        raise InvalidInput(message="A digest is a SHA-256 in 64 hexadecimal digits.", path=("digest",))
    return access.workspace_id


def admit_part(policy: UploadPolicy, workspace_id: UUID, intent: UploadIntent, part: Part) -> Admission:
    """Judge the head of a file part. The input's name wins over the part's filename.

    Raises InvalidInput, ExtensionNotAllowed and FileTooLarge.
    """
    raw_name = intent.name if intent.name is not None else part.filename
    if raw_name is None:
        raise InvalidInput(message="The file has no name: give one in the input or in the part.", path=("name",))
    name = clean_name(raw_name)
    judge_extension(name, policy)
    if part.declared_size is not None and part.declared_size > policy.maximum_file_bytes:
        raise _too_large(policy.maximum_file_bytes)
    digest = intent.digest.lower() if intent.digest is not None else None
    return Admission(workspace_id, name, part.media_type, digest, policy.maximum_file_bytes, part.declared_size)


class Receiver:
    """One upload's bytes into the store. Whatever it raises, it has removed what it stored."""

    def __init__(self, admission: Admission, allowance: Allowance, writer: BlobWriter) -> None:
        self._admission = admission
        self._allowance = allowance
        self._writer = writer
        self._head = bytearray()
        self._size = 0

    @classmethod
    async def begin(cls, store: BlobStore, admission: Admission, allowance: Allowance) -> Self:
        """Open a blob for the upload. Raises RateLimited and Unavailable."""
        await allowance.begin(admission.declared_size)
        try:
            return cls(admission, allowance, await store.create(new_key()))
        except StoreError as error:
            await allowance.abandon(0)
            raise _unavailable(error) from error

    async def write(self, data: bytes) -> None:
        """Take the next bytes. Raises FileTooLarge, RateLimited and Unavailable."""
        self._size += len(data)
        if self._size > self._admission.limit:
            await self.abandon()
            raise _too_large(self._admission.limit)
        await self._count(self._allowance.grow(self._size))
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        try:
            await self._writer.write(data)
        except StoreError as error:
            await self.abandon()
            raise _unavailable(error) from error

    async def finish(self) -> Received:
        """Make the bytes durable. Raises DigestMismatch, RateLimited and Unavailable."""
        await self._count(self._allowance.finish(self._size))
        try:
            stored = await self._writer.finish()
        except StoreError as error:
            await self.abandon()
            raise _unavailable(error) from error
        expected = self._admission.digest
        if expected is not None and expected != stored.digest:
            await self.abandon()
            message = "The bytes that arrived are not those whose digest was given."
            raise DigestMismatch(message=message, expected=expected, actual=stored.digest, path=("digest",))
        return Received(self._admission, stored, bytes(self._head))

    async def abandon(self) -> None:
        """Remove what was stored. May be called at any time, also again."""
        await self._allowance.abandon(self._size)
        await self._writer.abandon()

    async def _count(self, counting: Awaitable[None]) -> None:
        try:
            await counting
        except RateLimited:
            await self.abandon()
            raise


def _too_large(limit: int) -> FileTooLarge:
    return FileTooLarge(message=f"The file is larger than {limit} bytes.", limit=limit, path=("file",))


def _unavailable(error: StoreError) -> Unavailable:
    if isinstance(error, StoreFull):
        return Unavailable(message="The service has no room for the file at present.")
    return Unavailable(message="The service cannot store the file at present.")
