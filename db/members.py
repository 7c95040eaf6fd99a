"""Selects and writes on members of workspaces."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, literal, select, true, update
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import Member, User, Workspace, WorkspaceRole
from db.pages import Order, Owners, pages_of
from db.questions import Page, Window
from db.roles import is_member
from db.rows import MemberRow

WorkspaceId: TypeAlias = ColumnElement[UUID] | Mapped[UUID]

_other = aliased(Member)
_COLUMNS = (col(Member.user_id), col(Member.workspace_id), col(Member.role), col(Member.created_at))
_FIRST_COMERS_FIRST = Order(col(Member.created_at), col(Member.user_id), is_descending=False)


class NamedWorkspace(NamedTuple):
    """A workspace and what it is called."""

    id: UUID
    name: str


async def pages(
    rows: Rows, viewer_id: UUID | None, workspace_ids: Sequence[UUID], window: Window
) -> dict[UUID, Page[MemberRow]]:
    """For each workspace a window of its members, who came first first. A viewer must be a member; None sees all."""
    owners = Owners(col(Workspace.id), workspace_ids)
    found = await pages_of(rows, _seen_by(viewer_id), owners, _FIRST_COMERS_FIRST, window)
    return {key: page.of(MemberRow._make) for key, page in found.items()}


async def counts(rows: Rows, viewer_id: UUID | None, workspace_ids: Sequence[UUID]) -> dict[UUID, int]:
    """For each workspace how many members it has. A viewer must be a member; None sees all."""
    wanted = _seen_by(viewer_id).where(col(Workspace.id).in_(workspace_ids))
    statement = wanted.with_only_columns(col(Workspace.id), func.count().label("number"))
    return {row.id: row.number for row in await rows.all(statement.group_by(col(Workspace.id)))}


async def find(rows: Rows, workspace_id: UUID, user_id: UUID) -> MemberRow | None:
    """A user in a workspace."""
    row = await rows.first(
        select(*_COLUMNS).where(col(Member.workspace_id) == workspace_id, col(Member.user_id) == user_id)
    )
    return row and MemberRow._make(row)


async def has_other_owner(rows: Rows, workspace_id: UUID, user_id: UUID) -> bool:
    """Whether somebody else owns the workspace who can still sign in."""
    others = _other_owners(literal(workspace_id), user_id)
    return await rows.first(others.limit(1)) is not None


async def solely_owned(rows: Rows, user_id: UUID) -> list[NamedWorkspace]:
    """The shared workspaces that nobody but this user owns and can still sign in, in the order of ids."""
    return await _owned_without(rows, user_id, _other_owners(col(Workspace.id), user_id))


async def alone_in(rows: Rows, user_id: UUID) -> list[NamedWorkspace]:
    """The workspaces beside the personal one that this user owns without any other member, in the order of ids."""
    return await _owned_without(rows, user_id, _others(col(Workspace.id), user_id))


async def owned(rows: Rows, user_id: UUID) -> list[UUID]:
    """The workspaces that the user owns, alone or with others."""
    statement = select(col(Member.workspace_id))
    found = await rows.all(statement.where(col(Member.user_id) == user_id, col(Member.role) == WorkspaceRole.OWNER))
    return [row.workspace_id for row in found]


async def set_role(tx: Transaction, workspace_id: UUID, user_id: UUID, role: WorkspaceRole) -> None:
    """Give a member another role."""
    member = col(Member.workspace_id) == workspace_id, col(Member.user_id) == user_id
    await tx.execute(update(Member).where(*member).values(role=role))


async def remove(tx: Transaction, workspace_id: UUID, user_id: UUID) -> None:
    """End a membership."""
    await tx.execute(delete(Member).where(col(Member.workspace_id) == workspace_id, col(Member.user_id) == user_id))


def _seen_by(viewer_id: UUID | None) -> Selection:
    # The right is asked once of each workspace, not of each of its members.
    seen = true() if viewer_id is None else is_member(col(Workspace.id), viewer_id)
    return select(*_COLUMNS).join(Workspace, col(Workspace.id) == col(Member.workspace_id)).where(seen)


def _others(workspace_id: WorkspaceId, user_id: UUID) -> Selection:
    """Who else is a member of a workspace."""
    return select(col(_other.user_id)).where(col(_other.workspace_id) == workspace_id, col(_other.user_id) != user_id)


def _other_owners(workspace_id: WorkspaceId, user_id: UUID) -> Selection:
    """Who else owns a workspace and can still sign in."""
    others = _others(workspace_id, user_id).join(User, col(User.id) == col(_other.user_id))
    return others.where(col(_other.role) == WorkspaceRole.OWNER, col(User.disabled_at).is_(None))


async def _owned_without(rows: Rows, user_id: UUID, others: Selection) -> list[NamedWorkspace]:
    own = col(Member.user_id) == user_id, col(Member.role) == WorkspaceRole.OWNER
    shared: Selection = select(col(Workspace.id), col(Workspace.name)).where(col(Workspace.personal_user_id).is_(None))
    owned = shared.join(Member, col(Member.workspace_id) == col(Workspace.id)).where(*own, ~others.exists())
    return [NamedWorkspace._make(row) for row in await rows.all(owned.order_by(col(Workspace.id)))]
