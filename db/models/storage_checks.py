"""Comparisons of records and bytes: asked for, under way, and what they found."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Column, Field, String
from uuid_utils.compat import uuid7

from db.models.record import JSON_COLUMN, Record, one_of


class StorageCheckState(StrEnum):
    """Where a check stands. The last two are ends."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


class StorageCheck(Record, table=True):
    """A check of the storage by a job. There is one `slot`, which one that has not ended holds.

    `stage` and `position` are where it goes on when its process dies. `counts` has, by the kind of finding, how many
    there were and how many of them were repaired; `findings` has the first of them.
    """

    __tablename__ = "storage_checks"
    __table_args__ = (
        one_of("state", StorageCheckState),
        UniqueConstraint("slot"),
        Index(None, "created_at", "id"),
        Index(None, "requested_by_id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    requested_by_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    state: StorageCheckState = Field(default=StorageCheckState.WAITING, sa_type=String)
    slot: int | None = 1
    repairs: bool
    digests: bool
    stage: int = 0
    position: str = ""
    blobs_seen: int = Field(default=0, sa_type=BigInteger)
    blobs_total: int = Field(default=0, sa_type=BigInteger)
    bytes_hashed: int = Field(default=0, sa_type=BigInteger)
    counts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON_COLUMN, nullable=False))
    findings: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON_COLUMN, nullable=False))
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime
