"""What all tables share: metadata with a name for every constraint, and column types that mean the same anywhere."""

from enum import StrEnum
from typing import ClassVar

from sqlalchemy import JSON, CheckConstraint, Index, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel, String

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


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """The constraint that a text column has one of these values: native enums survive a downgrade."""
    names = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({names})", name=column)


def index_of_some(column: str) -> Index:
    """The index of a column that is null in most rows, of the others.

    With all rows in it PostgreSQL may look through everything that is null to find what is so of a few rows by id.
    """
    is_some = text(f"{column} IS NOT NULL")
    return Index(None, column, postgresql_where=is_some, sqlite_where=is_some)


class Record(SQLModel):
    """The metadata all tables share, with names for every constraint."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING)
