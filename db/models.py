"""The tables, as SQLModel classes: columns, keys and constraints, nothing else.

Text that people compare without regard to case has a folded column beside it (`username_folded`), which carries
uniqueness, search and order alike on every database.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, MetaData, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Column, Field, SQLModel, String
from uuid_utils.compat import uuid7

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# Folded text is ordered by code point everywhere; PostgreSQL would otherwise follow the locale of the machine.
FOLDED = String().with_variant(String(collation="C"), "postgresql")
JSON_COLUMN = JSON().with_variant(JSONB(), "postgresql")
UNFINISHED = "dedup_key IS NOT NULL AND state <> 'DEAD'"


class UserRole(StrEnum):
    """What a user may do to the service as a whole."""

    USER = "USER"
    ADMIN = "ADMIN"


class WorkspaceRole(StrEnum):
    """What a member may do in a workspace."""

    OWNER = "OWNER"
    EDITOR = "EDITOR"
    VIEWER = "VIEWER"


class FileStatus(StrEnum):
    """Whether a file can be had."""

    READY = "READY"
    QUARANTINED = "QUARANTINED"
    REJECTED = "REJECTED"


class JobState(StrEnum):
    """Where a job stands. One that is done has no row any more."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DEAD = "DEAD"


def _one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({names})", name=column)


class Record(SQLModel):
    """The metadata all tables share, with names for every constraint."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)


class User(Record, table=True):
    """A person or program with an account."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("username_folded"),
        UniqueConstraint("email_folded"),
        _one_of("role", UserRole),
        Index(None, "created_at", "id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    username: str
    username_folded: str = Field(sa_type=FOLDED)
    email: str
    email_folded: str = Field(sa_type=FOLDED)
    password_hash: str
    role: UserRole = Field(default=UserRole.USER, sa_type=String)
    disabled_at: datetime | None = None
    last_login_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class Session(Record, table=True):
    """A signed-in device of a person. `last_used_at` is when it was signed in or refreshed last."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id", "created_at", "id"), Index(None, "expires_at"), Index(None, "revoked_at"))

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


class Workspace(Record, table=True):
    """Who owns files. `personal_user_id` is set for the one that each user is given at signup.

    `quota_limit` is in bytes: None is the default of the settings, 0 is no limit. One with `deleted_at` has no members
    any more; it stays until its last file is purged.
    """

    __tablename__ = "workspaces"
    __table_args__ = (
        UniqueConstraint("personal_user_id"),
        CheckConstraint("quota_limit >= 0", name="quota_limit"),
        Index(None, "deleted_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    name: str
    personal_user_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="CASCADE")
    quota_limit: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime
    deleted_at: datetime | None = None


class Member(Record, table=True):
    """A user in a workspace, with a role."""

    __tablename__ = "members"
    __table_args__ = (
        _one_of("role", WorkspaceRole),
        Index(None, "user_id"),
        Index(None, "workspace_id", "created_at", "user_id"),
    )

    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE", primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", primary_key=True)
    role: WorkspaceRole = Field(sa_type=String)
    created_at: datetime


class Invitation(Record, table=True):
    """A role that an owner offers to whoever has an email. `token_hash` is the SHA-256 of the mail's token, in hex."""

    __tablename__ = "invitations"
    __table_args__ = (
        _one_of("role", WorkspaceRole),
        UniqueConstraint("token_hash"),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "invited_by_id"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id", ondelete="CASCADE")
    email_folded: str = Field(sa_type=FOLDED)
    role: WorkspaceRole = Field(sa_type=String)
    invited_by_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="SET NULL")
    token_hash: str
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None


class Blob(Record, table=True):
    """Bytes in a store. `deleted_at` marks bytes that no version needs any more and that are to be removed."""

    __tablename__ = "blobs"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size"),
        Index(None, "deleted_at"),
    )

    key: str = Field(primary_key=True)
    store: str
    size: int = Field(sa_type=BigInteger)
    digest: str
    crc32: int = Field(sa_type=BigInteger)
    encryption: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON_COLUMN))
    created_at: datetime
    deleted_at: datetime | None = None


class File(Record, table=True):
    """What a person owns and sees.

    Size, media type and digest repeat those of the current version, so that lists filter, sort and answer from one
    table. `version_id` is no foreign key: versions point here, and a circle of two would have to be deferred.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size"),
        _one_of("status", FileStatus),
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


class Event(Record, table=True):
    """Something that happened. Ids are no foreign keys: history outlives what it tells of.

    Each filter of the audit log has an index that ends with the order of the log. Ids alone would not do for it: a
    download has its id when it is written, which may be long after it ended.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "actor_id", "created_at", "id"),
        Index(None, "workspace_id", "created_at", "id"),
        Index(None, "target_id", "created_at", "id"),
        Index(None, "kind", "created_at", "id"),
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


class Job(Record, table=True):
    """Work that is to be done after the change it came with.

    `attempts` counts those that have begun. Of the unfinished jobs of a kind one at most has a `dedup_key`, where that
    is set. `payload` is null once it is no longer anybody's business: in a dead job whose payload was secret.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        _one_of("state", JobState),
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
