"""What programs ask with in the name of a user."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Column, Field
from uuid_utils.compat import uuid7

from db.models.record import JSON_COLUMN, Record, index_of_some


class ApiKey(Record, table=True):
    """What a program asks with in the name of a user. `addresses` are ranges in CIDR notation; none: from anywhere.

    `token_prefix` is how its secrets begin, for people to recognise it by.
    """

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "user_id", "created_at", "id"), index_of_some("revoked_at"))

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    name: str
    token_prefix: str
    scopes: list[str] = Field(sa_column=Column(JSON_COLUMN, nullable=False))
    addresses: list[str] = Field(sa_column=Column(JSON_COLUMN, nullable=False))
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class ApiKeySecret(Record, table=True):
    """The SHA-256 of a secret of an API key, in hex. Only the newest of a key has no end of its own."""

    __tablename__ = "api_key_secrets"
    __table_args__ = (Index(None, "api_key_id"), Index(None, "expires_at"))

    secret_hash: str = Field(primary_key=True)
    api_key_id: UUID = Field(foreign_key="api_keys.id", ondelete="CASCADE")
    created_at: datetime
    expires_at: datetime | None = None
