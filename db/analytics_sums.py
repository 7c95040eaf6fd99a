"""What a user has, as a value in a select: asked of each user apart, so that nothing is read of anybody else.

As a join the same is sometimes planned as a walk through what everybody has, for whoever plans does not know how few
users are asked about.
"""

from typing import TypeAlias
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, func, literal, select
from sqlalchemy.orm import Mapped
from sqlmodel import col

from db.analytics import in_scopes, total
from db.analytics_spans import Part, Span, parts
from db.models import DailyUser, HeldUser, MonthlyUser

UserId: TypeAlias = ColumnElement[UUID] | Mapped[UUID]


def held_of(user_id: UserId, measure: str) -> ColumnElement[int]:
    """What is held of the user's."""
    is_own = col(HeldUser.user_id) == user_id
    return _added(getattr(HeldUser, measure), is_own, in_scopes(col(HeldUser.scope_id)))


def sum_of(user_id: UserId, measure: str, span: Span) -> ColumnElement[int]:
    """What a span added."""
    sums = (part_of(user_id, measure, part) for part in parts(span, DailyUser, MonthlyUser))
    return sum(sums, start=literal(0, BigInteger))


def part_of(user_id: UserId, measure: str, part: Part) -> ColumnElement[int]:
    """What a part of a span added."""
    is_own = part.column("user_id") == user_id
    return _added(part.column(measure), is_own, in_scopes(part.column("scope_id")), part.is_asked)


def _added(column: ColumnElement[int], *is_own: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(select(total(column)).where(*is_own).scalar_subquery(), 0)
