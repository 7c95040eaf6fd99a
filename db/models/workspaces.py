"""Who owns files, and who may do what to them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, String
from uuid_utils.compat import uuid7

from db.models.record import FOLDED, Record, index_of_some, one_of


class WorkspaceRole(StrEnum):
    """What a member may do in a workspace."""

    OWNER = "OWNER"
    EDITOR = "EDITOR"
    VIEWER = "VIEWER"


class Workspace(Record, table=True):
    """Who owns files. `personal_user_id` is set for the one that each user is given at signup.

    One with `deleted_at` has no members any more; it stays until its last file is purged.
    """

    __tablename__ = "workspaces"
    __table_args__ = (
        UniqueConstraint("personal_user_id"),
        index_of_some("deleted_at"),
    )

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    name: str
    personal_user_id: UUID | None = Field(default=None, foreign_key="users.id", ondelete="CASCADE")
    created_at: datetime
    deleted_at: datetime | None = None


class Member(Record, table=True):
    """A user in a workspace, with a role."""

    __tablename__ = "members"
    __table_args__ = (
        one_of("role", WorkspaceRole),
        Index(None, "user_id", "workspace_id"),
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
        one_of("role", WorkspaceRole),
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
