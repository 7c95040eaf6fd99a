"""Bytes on their way in: what was announced of them, and how far they have come."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Column, Field, String
from uuid_utils.compat import uuid7

from db.models.record import JSON_COLUMN, Record, one_of


class UploadState(StrEnum):
    """Where an upload stands. The last four are ends."""

    OPEN = "OPEN"
    RECEIVING = "RECEIVING"
    VERIFYING = "VERIFYING"
    COMMITTED = "COMMITTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    ABORTED = "ABORTED"


class UploadTransport(StrEnum):
    """How the bytes of an upload come."""

    MULTIPART = "MULTIPART"
    TUS = "TUS"
    SINGLE_PUT = "SINGLE_PUT"
    PARTS = "PARTS"


class Upload(Record, table=True):
    """An upload, from its announcement until some time after its end.

    `size` is what was announced, None as long as nobody knows; `received` what has come and is durable, and `reserved`
    its share of what the ledger holds back: sizes are in bytes. `blob_key` names the bytes before the first has come.
    `file_id` and `version_id` are what it has become, `refusal` says why it was rejected. `is_partial` marks a piece of
    a tus concatenation, which becomes no file by itself, and `metadata_header` is what tus gives back as it came.
    Files are no foreign keys: they may be purged meanwhile.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        one_of("state", UploadState),
        one_of("transport", UploadTransport),
        CheckConstraint("size >= 0", name="size"),
        CheckConstraint("received >= 0", name="received"),
        CheckConstraint("reserved >= 0", name="reserved"),
        UniqueConstraint("blob_key"),
        Index(None, "state", "expires_at"),
        Index(None, "workspace_id", "state"),
        Index(None, "created_by_id", "created_at", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="RESTRICT")
    created_by_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    transport: UploadTransport = Field(sa_type=String)
    state: UploadState = Field(default=UploadState.OPEN, sa_type=String)
    name: str
    declared_media_type: str | None = None
    digest: str | None = None
    size: int | None = Field(default=None, sa_type=BigInteger)
    received: int = Field(default=0, sa_type=BigInteger)
    reserved: int = Field(default=0, sa_type=BigInteger)
    part_size: int | None = Field(default=None, sa_type=BigInteger)
    is_partial: bool = False
    blob_key: str
    replaces_id: UUID | None = None
    replaces_revision: int | None = None
    metadata_header: str | None = None
    file_id: UUID | None = None
    version_id: UUID | None = None
    refusal: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON_COLUMN))
    created_at: datetime
    updated_at: datetime
    expires_at: datetime


class UploadPart(Record, table=True):
    """A part of an upload that has come whole; its place is its number, from 1, times the part size."""

    __tablename__ = "upload_parts"
    __table_args__ = (CheckConstraint("size >= 0", name="size"),)

    upload_id: UUID = Field(foreign_key="uploads.id", ondelete="CASCADE", primary_key=True)
    number: int = Field(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    created_at: datetime
