"""Reports of what is counted: asked for, being made, and made as files."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlmodel import Column, Field, String
from uuid_utils.compat import uuid7

from db.models.record import JSON_COLUMN, Record, one_of


class ExportState(StrEnum):
    """Where an export stands. The last two are ends."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


class ExportReport(StrEnum):
    """What an export is of."""

    UPLOADS = "UPLOADS"
    DOWNLOADS = "DOWNLOADS"
    STORAGE = "STORAGE"
    MEDIA_TYPES = "MEDIA_TYPES"
    USERS = "USERS"


class ExportFormat(StrEnum):
    """How an export is written."""

    CSV = "CSV"
    JSON_LINES = "JSON_LINES"


class AnalyticsExport(Record, table=True):
    """An export by the job `job_id`, for a user; one that has not ended has no `ended_at`.

    `api_key_id` is the key that it was asked by, and `is_administrator` whether it was asked for as one: both are asked
    again when it is made. `interval` is null where a report has no buckets, and `workspace_id` where it is of all that
    the user may know of. Neither it nor `file_id` nor a key is a foreign key: an export outlives what it names.
    """

    __tablename__ = "analytics_exports"
    __table_args__ = (
        one_of("state", ExportState),
        one_of("report", ExportReport),
        one_of("format", ExportFormat),
        Index(None, "user_id", "ended_at"),
        Index(None, "ended_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    api_key_id: UUID | None = None
    is_administrator: bool
    job_id: UUID | None
    state: ExportState = Field(default=ExportState.WAITING, sa_type=String)
    report: ExportReport = Field(sa_type=String)
    format: ExportFormat = Field(sa_type=String)
    since: date
    until: date
    interval: str | None = None
    workspace_id: UUID | None = None
    as_of: datetime | None = None
    row_count: int | None = Field(default=None, sa_type=BigInteger)
    file_id: UUID | None = None
    refusal: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON_COLUMN))
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
