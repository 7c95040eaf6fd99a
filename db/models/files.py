"""What people own, its contents, and the bytes of those."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Column, Field, String
from uuid_utils.compat import uuid7

from db.models.record import FOLDED, JSON_COLUMN, Record, index_of_some, one_of


class FileStatus(StrEnum):
    """Whether a file can be had."""

    READY = "READY"
    QUARANTINED = "QUARANTINED"
    REJECTED = "REJECTED"


class BlobDamage(StrEnum):
    """What is wrong with the bytes of a blob."""

    MISSING = "MISSING"
    SIZE = "SIZE"
    DIGEST = "DIGEST"
    UNREADABLE = "UNREADABLE"


class Blob(Record, table=True):
    """Bytes in a store. `deleted_at` marks bytes that no version needs any more and that are to be removed.

    `verified_at` is when the bytes were last read and found to be what came in, None before the first time since. The
    bytes of a blob with `damage` are given to nobody.
    """

    __tablename__ = "blobs"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size"),
        one_of("damage", BlobDamage),
        index_of_some("deleted_at"),
        Index(None, "verified_at", "created_at"),
        index_of_some("damage"),
    )

    key: str = Field(primary_key=True)
    store: str
    size: int = Field(sa_type=BigInteger)
    digest: str
    crc32: int = Field(sa_type=BigInteger)
    encryption: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON_COLUMN))
    created_at: datetime
    deleted_at: datetime | None = None
    verified_at: datetime | None = None
    damage: BlobDamage | None = Field(default=None, sa_type=String)


class File(Record, table=True):
    """What a person owns and sees.

    Size, media type and digest repeat those of the current version, so that lists filter, sort and answer from one
    table. `version_id` is no foreign key: versions point here, and a circle of two would have to be deferred.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size"),
        one_of("status", FileStatus),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "workspace_id", "name_folded", "id"),
        Index(None, "workspace_id", "size", "id"),
        Index(None, "uploaded_by_id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="RESTRICT")
    uploaded_by_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    name: str
    name_folded: str = Field(sa_type=FOLDED)
    version_id: UUID
    size: int = Field(sa_type=BigInteger)
    media_type: str
    declared_media_type: str | None = None
    digest: str
    status: FileStatus = Field(default=FileStatus.READY, sa_type=String)
    revision: int = 1
    created_at: datetime
    updated_at: datetime


class Version(Record, table=True):
    """One immutable content of a file; numbers count up from 1."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("file_id", "number"),
        CheckConstraint("size >= 0", name="size"),
        Index(None, "blob_key"),
        Index(None, "created_by_id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    file_id: UUID = Field(foreign_key="files.id", ondelete="CASCADE")
    number: int
    blob_key: str = Field(foreign_key="blobs.key", ondelete="RESTRICT")
    size: int = Field(sa_type=BigInteger)
    media_type: str
    declared_media_type: str | None = None
    digest: str
    created_by_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    created_at: datetime
