"""What was made under keys that clients chose, so that a request that is sent again makes nothing more."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from db.models.record import Record


class IdempotencyKey(Record, table=True):
    """What a user's request made: `request_digest` is the SHA-256 of what it said, `target_id` what it made.

    Nothing is a foreign key: what was made may be gone, and so may be the user. It is forgotten after a day.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index(None, "created_at"),)

    user_id: UUID = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_digest: str
    target_id: UUID
    created_at: datetime
