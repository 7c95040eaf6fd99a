"""What happened."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlmodel import Column, Field
from uuid_utils.compat import uuid7

from db.models.record import JSON_COLUMN, Record


class Event(Record, table=True):
    """Something that happened. Ids are no foreign keys: history outlives what it tells of.

    Whatever the audit log is filtered by, one of the indexes has each kind of it in the order of the log, and needs
    nothing more: `db.events` puts the kinds together. Ids alone would not do for that order: a download has its id when
    it is written, which may be long after it ended.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "kind", "created_at", "id"),
        Index(None, "actor_id", "kind", "created_at", "id"),
        Index(None, "workspace_id", "kind", "created_at", "id"),
        Index(None, "target_id", "kind", "created_at", "id"),
        Index(None, "workspace_id", "actor_id", "kind", "created_at", "id"),
        Index(None, "target_id", "actor_id", "kind", "created_at", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: str
    actor_id: UUID | None = None
    workspace_id: UUID | None = None
    target_id: UUID | None = None
    size: int | None = Field(default=None, sa_type=BigInteger)
    data: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON_COLUMN))
    address: str | None = None
    request_id: str | None = None
    created_at: datetime
