"""What is sent by mail to prove that an address is somebody's."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, String

from db.models.record import Record, one_of


class MailTokenPurpose(StrEnum):
    """What the token of a mail is good for."""

    VERIFY_EMAIL = "VERIFY_EMAIL"
    RESET_PASSWORD = "RESET_PASSWORD"  # noqa: S105 - the name of a purpose
    CONFIRM_EMAIL = "CONFIRM_EMAIL"


class MailToken(Record, table=True):
    """The SHA-256 of a token that a mail carried to `email`, in hex. A user has one of each purpose, the newest."""

    __tablename__ = "mail_tokens"
    __table_args__ = (
        one_of("purpose", MailTokenPurpose),
        UniqueConstraint("user_id", "purpose"),
        Index(None, "expires_at"),
    )

    token_hash: str = Field(primary_key=True)
    purpose: MailTokenPurpose = Field(sa_type=String)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    email: str
    created_at: datetime
    expires_at: datetime
