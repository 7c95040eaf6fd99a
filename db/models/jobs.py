"""Work that is still to be done."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Column, Field, String
from uuid_utils.compat import uuid7

from db.models.record import JSON_COLUMN, Record, one_of

UNFINISHED = "dedup_key IS NOT NULL AND state <> 'DEAD'"


class JobState(StrEnum):
    """Where a job stands. One that is done has no row any more."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DEAD = "DEAD"


class Job(Record, table=True):
    """Work that is to be done after the change it came with.

    `attempts` counts those that have begun. Of the unfinished jobs of a kind one at most has a `dedup_key`, where that
    is set. `payload` is null once it is no longer anybody's business: in a dead job whose payload was secret.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        one_of("state", JobState),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index(
            "uq_jobs_kind_dedup_key",
            "kind",
            "dedup_key",
            unique=True,
            sqlite_where=text(UNFINISHED),
            postgresql_where=text(UNFINISHED),
        ),
        Index(None, "state", "run_at", "id"),
        Index(None, "state", "lease_until", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    kind: str
    payload: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON_COLUMN))
    dedup_key: str | None = None
    state: JobState = Field(default=JobState.WAITING, sa_type=String)
    attempts: int = 0
    run_at: datetime
    lease_until: datetime | None = None
    leased_by: str | None = None
    last_error: str | None = None
    created_at: datetime
    updated_at: datetime
