"""What a user is in the workspace of a row, as a value of the row.

A select that names rows by their ids does not join them with members. Whoever plans a join may as well begin with the
workspaces of the user, and read all that lies in them to find the few rows: with statistics that are missing, or where
most workspaces are small, that looks as cheap as the keys. A value is asked of each row once that is found.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, select
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col

from db.engine import Selection
from db.models import Member

Id = ColumnElement[Any] | Mapped[Any] | BindParameter[UUID] | UUID


def role_in(workspace_id: ColumnElement[Any] | Mapped[Any], user_id: Id) -> ColumnElement[str]:
    """The role of a user in a workspace; null for who is no member."""
    own = aliased(Member)
    role = select(col(own.role)).where(col(own.workspace_id) == workspace_id, col(own.user_id) == user_id)
    return role.scalar_subquery()


def is_member(workspace_id: ColumnElement[Any] | Mapped[Any], user_id: Id) -> ColumnElement[bool]:
    """Whether a user is a member of a workspace."""
    return role_in(workspace_id, user_id).is_not(None)


def visible(named: Selection) -> Selection:
    """Those of some rows whose last column, the `viewer_role`, is not null."""
    # PostgreSQL would otherwise ask for the role twice, to judge it and to tell it.
    found = named.cte("named").prefix_with("MATERIALIZED", dialect="postgresql")
    return select(found).where(found.c.viewer_role.is_not(None))
