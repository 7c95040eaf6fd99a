"""Whom a report of users tells of, page by page in the order of their ids."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import literal, or_, select
from sqlmodel import col

from db.analytics import Extent
from db.engine import Rows, Selection
from db.models import Delta, HeldUser, Member, User


class PersonRow(NamedTuple):
    """A user, and whether it is told of even if it holds nothing: in workspaces, whether it is a member."""

    id: UUID
    username: str
    is_told_of: bool


async def page(rows: Rows, extent: Extent, after: UUID, limit: int) -> list[PersonRow]:
    """The next users of an extent: all that there are, or in workspaces its members and whoever was counted there."""
    statement = _everybody() if extent.workspace_ids is None else _people_in(extent.workspace_ids)
    found = await rows.all(statement.where(col(User.id) > after).order_by(col(User.id)).limit(limit))
    return [PersonRow._make(row) for row in found]


def _everybody() -> Selection:
    return select(col(User.id), col(User.username), literal(True))  # noqa: FBT003 - a column


def _people_in(workspace_ids: tuple[UUID, ...]) -> Selection:
    members = select(col(Member.user_id)).where(col(Member.workspace_id).in_(workspace_ids))
    holders = select(col(HeldUser.user_id)).where(col(HeldUser.scope_id).in_(workspace_ids))
    lately = select(col(Delta.user_id)).where(
        col(Delta.workspace_id).in_(workspace_ids), col(Delta.user_id).is_not(None)
    )
    is_member = col(User.id).in_(members)
    is_counted = or_(is_member, col(User.id).in_(holders), col(User.id).in_(lately))
    return select(col(User.id), col(User.username), is_member).where(is_counted)
