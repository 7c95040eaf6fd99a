"""What is counted: deltas as they are appended, and the rollups that they are folded into."""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, text
from sqlmodel import Field

from db.models.record import Record

WHOLE_SERVICE = UUID(int=0)
"""The scope of rollups that count everything; every other scope is a workspace."""
NEVER = date.min
# SQLite numbers rows by itself only where the key is called INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _index_of_some(span: str, measure: str, condition: str) -> Index:
    where = text(condition)
    return Index(None, "scope_id", span, measure, "user_id", postgresql_where=where, sqlite_where=where)


class Held(Record):
    """What is held, or was added to it: less than nothing where something was taken away."""

    files: int = Field(default=0, sa_type=BigInteger)
    bytes: int = Field(default=0, sa_type=BigInteger)


class Counted(Held):
    """And what happened: uploads and downloads, with `uploaded` and `downloaded` bytes."""

    uploads: int = Field(default=0, sa_type=BigInteger)
    uploaded: int = Field(default=0, sa_type=BigInteger)
    downloads: int = Field(default=0, sa_type=BigInteger)
    downloaded: int = Field(default=0, sa_type=BigInteger)


class CountedOfAll(Counted):
    """And what is no single user's: logins, and users."""

    logins: int = Field(default=0, sa_type=BigInteger)
    users: int = Field(default=0, sa_type=BigInteger)


class Delta(CountedOfAll, table=True):
    """What one change adds to what is counted, or takes away. Read and removed when it is folded, and never changed.

    `user_id` is whose doing it is, or whose files and bytes they were. The day is that of UTC. Ids are no foreign keys:
    what is counted outlives what it tells of.
    """

    __tablename__ = "deltas"

    id: int | None = Field(default=None, primary_key=True, sa_type=_NUMBER)
    day: date
    workspace_id: UUID | None = None
    user_id: UUID | None = None
    media_type: str | None = None


class DailyTotal(CountedOfAll, table=True):
    """What a day added, or took away, in a workspace or in the whole service."""

    __tablename__ = "daily_totals"

    scope_id: UUID = Field(primary_key=True)
    day: date = Field(primary_key=True)


class DailyMediaType(Held, table=True):
    """What a day added of a media type, or took away, in a scope."""

    __tablename__ = "daily_media_types"

    scope_id: UUID = Field(primary_key=True)
    day: date = Field(primary_key=True)
    media_type: str = Field(primary_key=True)


class DailyUser(Counted, table=True):
    """What a day added of a user, or took away, in a scope.

    Its indexes have who downloaded and who lost most on a day: see `db.analytics_leaders`.
    """

    __tablename__ = "daily_users"
    __table_args__ = (
        _index_of_some("day", "downloads", "downloads > 0"),
        _index_of_some("day", "bytes", "bytes < 0"),
        _index_of_some("day", "files", "files < 0"),
    )

    scope_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    day: date = Field(primary_key=True)


class MonthlyTotal(CountedOfAll, table=True):
    """The days of a month put together, so that years are few rows. A month is named by its first day."""

    __tablename__ = "monthly_totals"

    scope_id: UUID = Field(primary_key=True)
    month: date = Field(primary_key=True)


class MonthlyMediaType(Held, table=True):
    """What a month added of a media type, or took away, in a scope."""

    __tablename__ = "monthly_media_types"

    scope_id: UUID = Field(primary_key=True)
    month: date = Field(primary_key=True)
    media_type: str = Field(primary_key=True)


class MonthlyUser(Counted, table=True):
    """What a month added of a user, or took away, in a scope. Its indexes have whom it added most."""

    __tablename__ = "monthly_users"
    __table_args__ = (
        _index_of_some("month", "downloads", "downloads > 0"),
        _index_of_some("month", "bytes", "bytes > 0"),
        _index_of_some("month", "files", "files > 0"),
    )

    scope_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    month: date = Field(primary_key=True)


class HeldMediaType(Held, table=True):
    """What is held of a media type in a scope: the sum of all its days, so that nobody has to add them up."""

    __tablename__ = "held_media_types"

    scope_id: UUID = Field(primary_key=True)
    media_type: str = Field(primary_key=True)


class HeldUser(Held, table=True):
    """What is held of a user's in a scope, and the last day that the user did something there.

    To do something is to sign up or in, to upload, or to download. `NEVER` is for who has not. Everybody is there for
    the whole service from the signup on.
    """

    __tablename__ = "held_users"
    __table_args__ = (
        Index(None, "scope_id", "bytes", "user_id"),
        Index(None, "scope_id", "files", "user_id"),
        Index(None, "scope_id", "active_on", "user_id"),
    )

    scope_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    active_on: date = NEVER
