"""People and programs with an account, and how they stay signed in."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field, String
from uuid_utils.compat import uuid7

from db.models.record import FOLDED, Record, index_of_some, one_of


class UserRole(StrEnum):
    """What a user may do to the service as a whole."""

    USER = "USER"
    ADMIN = "ADMIN"


class User(Record, table=True):
    """A person or program with an account."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("username_folded"),
        UniqueConstraint("email_folded"),
        one_of("role", UserRole),
        Index(None, "created_at", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    username: str
    username_folded: str = Field(sa_type=FOLDED)
    email: str
    email_folded: str = Field(sa_type=FOLDED)
    email_verified_at: datetime | None = None
    password_hash: str
    role: UserRole = Field(default=UserRole.USER, sa_type=String)
    disabled_at: datetime | None = None
    last_login_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class Session(Record, table=True):
    """A signed-in device of a person. `last_used_at` is when it was signed in or refreshed last."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "user_id", "created_at", "id"),
        Index(None, "expires_at"),
        index_of_some("revoked_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    address: str | None = None
    user_agent: str | None = None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class RefreshToken(Record, table=True):
    """The SHA-256 of a refresh token, in hex. Used ones stay as long as their session, so that they are recognised."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "session_id"),)

    token_hash: str = Field(primary_key=True)
    session_id: UUID = Field(foreign_key="sessions.id", ondelete="CASCADE")
    created_at: datetime
    used_at: datetime | None = None


class TwoFactor(Record, table=True):
    """A user's authenticator app: its secret, sealed, and the last time step of which a code was accepted."""

    __tablename__ = "two_factor"

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    sealed_secret: str
    last_step: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime
    confirmed_at: datetime | None = None


class RecoveryCode(Record, table=True):
    """The SHA-256 of a recovery code that was not used yet, in hex."""

    __tablename__ = "recovery_codes"

    user_id: UUID = Field(foreign_key="two_factor.user_id", ondelete="CASCADE", primary_key=True)
    code_hash: str = Field(primary_key=True)


class StreamTicket(Record, table=True):
    """What lets one event stream of a session begin, by the SHA-256 of what its client was given, in hex."""

    __tablename__ = "stream_tickets"
    __table_args__ = (Index(None, "session_id"), Index(None, "expires_at"))

    token_hash: str = Field(primary_key=True)
    session_id: UUID = Field(foreign_key="sessions.id", ondelete="CASCADE")
    created_at: datetime
    expires_at: datetime


class Challenge(Record, table=True):
    """A login that waits for the second factor, by the SHA-256 of what its client was given, in hex."""

    __tablename__ = "challenges"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"))

    token_hash: str = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    attempts: int = 0
    created_at: datetime
    expires_at: datetime


class KnownDevice(Record, table=True):
    """A place that a user has signed in from: an address, or the /64 of one."""

    __tablename__ = "known_devices"

    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    place: str = Field(primary_key=True)
    last_login_at: datetime
