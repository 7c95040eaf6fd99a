"""How much lies with whom, and how much may."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint
from sqlmodel import Field, String

from db.models.record import Record, one_of


class QuotaKind(StrEnum):
    """Whose quota it is."""

    WORKSPACE = "WORKSPACE"
    USER = "USER"


class Quota(Record, table=True):
    """The ledger's line for a workspace or a user, made when something is first entered there.

    `used` are the bytes of all versions, in the workspace or made by the user, `reserved` those promised to uploads
    under way, `files` how many files there are. `quota_limit` is in bytes: None is the default of the settings, 0
    is no limit. `owner_id` is no foreign key, since it has two meanings. That nothing falls below zero is for whoever
    enters it to see: what is entered may be negative, and databases judge that before they add it.
    """

    __tablename__ = "quotas"
    __table_args__ = (
        one_of("kind", QuotaKind),
        CheckConstraint("quota_limit >= 0", name="quota_limit"),
    )

    owner_id: UUID = Field(primary_key=True)
    kind: QuotaKind = Field(sa_type=String)
    quota_limit: int | None = Field(default=None, sa_type=BigInteger)
    used: int = Field(default=0, sa_type=BigInteger)
    reserved: int = Field(default=0, sa_type=BigInteger)
    files: int = Field(default=0, sa_type=BigInteger)
