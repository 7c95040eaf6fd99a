"""Selects and writes on invitations. One is open while it is neither accepted nor expired and its inviter owns."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from db.engine import Rows, Selection, Transaction
from db.models import Invitation, User, Workspace, WorkspaceRole
from db.pages import Order, Owners, pages_of
from db.questions import Page, Window
from db.roles import role_in
from db.rows import InvitationRow

_COLUMNS = (
    col(Invitation.id),
    col(Invitation.workspace_id),
    col(Invitation.email_folded),
    col(Invitation.role),
    col(Invitation.invited_by_id),
    col(Invitation.created_at),
    col(Invitation.expires_at),
)


class Offer(NamedTuple):
    """What an invitation gives to whom it was sent."""

    id: UUID
    workspace_id: UUID
    role: str


async def pages(
    rows: Rows, viewer_id: UUID, workspace_ids: Sequence[UUID], now: datetime, window: Window
) -> dict[UUID, Page[InvitationRow]]:
    """For each workspace a window of its open invitations, the newest first, where the viewer owns it."""
    order = Order(col(Invitation.created_at), col(Invitation.id), is_descending=True)
    owners = Owners(col(Invitation.workspace_id), workspace_ids)
    found = await pages_of(rows, _seen_by(viewer_id, _open(now)), owners, order, window)
    return {key: page.of(InvitationRow._make) for key, page in found.items()}


async def counts(rows: Rows, viewer_id: UUID, workspace_ids: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    """For each workspace how many open invitations it has, where the viewer owns it."""
    visible = _seen_by(viewer_id, _open(now)).where(col(Invitation.workspace_id).in_(workspace_ids))
    statement = visible.with_only_columns(col(Invitation.workspace_id), func.count().label("number"))
    found = await rows.all(statement.group_by(col(Invitation.workspace_id)))
    return {row.workspace_id: row.number for row in found}


async def find(rows: Rows, viewer_id: UUID, invitation_id: UUID, now: datetime) -> InvitationRow | None:
    """An open invitation to a workspace that the viewer owns."""
    row = await rows.first(_seen_by(viewer_id, _open(now)).where(col(Invitation.id) == invitation_id))
    return row and InvitationRow._make(row)


async def sent(rows: Rows, viewer_id: UUID, invitation_id: UUID) -> InvitationRow | None:
    """An invitation to a workspace that the viewer owns, accepted, expired or open."""
    row = await rows.first(_seen_by(viewer_id, select(*_COLUMNS)).where(col(Invitation.id) == invitation_id))
    return row and InvitationRow._make(row)


async def offer(rows: Rows, user_id: UUID, token_hash: str, now: datetime) -> Offer | None:
    """What the open invitation of this token gives to this user, when it was sent to the user's email."""
    user = aliased(User)
    statement = (
        _open(now)
        .join(user, col(user.email_folded) == col(Invitation.email_folded))
        .where(
            col(Invitation.token_hash) == token_hash,
            col(user.id) == user_id,
            col(user.disabled_at).is_(None),
        )
    )
    row = await rows.first(
        statement.with_only_columns(col(Invitation.id), col(Invitation.workspace_id), col(Invitation.role))
    )
    return row and Offer._make(row)


async def accept(tx: Transaction, invitation_id: UUID, now: datetime) -> bool:
    """Use an invitation up. False when somebody did so before, or it was revoked meanwhile."""
    unused = col(Invitation.id) == invitation_id, col(Invitation.accepted_at).is_(None)
    return await tx.execute(update(Invitation).where(*unused).values(accepted_at=now)) == 1


async def revoke(tx: Transaction, invitation_id: UUID) -> bool:
    """Remove an invitation that was not accepted. False when it is not there any more."""
    unused = col(Invitation.id) == invitation_id, col(Invitation.accepted_at).is_(None)
    return await tx.execute(delete(Invitation).where(*unused)) == 1


async def withdraw(tx: Transaction, workspace_id: UUID, email_folded: str) -> None:
    """Remove whatever this email was offered in this workspace and did not accept."""
    await tx.execute(
        delete(Invitation).where(
            col(Invitation.workspace_id) == workspace_id,
            col(Invitation.email_folded) == email_folded,
            col(Invitation.accepted_at).is_(None),
        )
    )


def _open(now: datetime) -> Selection:
    """Invitations that can be accepted. What an owner offered falls with that owner's right to offer it."""
    inviter = aliased(User)
    is_enabled = and_(col(inviter.id) == col(Invitation.invited_by_id), col(inviter.disabled_at).is_(None))
    return (
        select(*_COLUMNS)
        .join(inviter, is_enabled)
        .join(Workspace, col(Workspace.id) == col(Invitation.workspace_id))
        .where(
            role_in(col(Invitation.workspace_id), col(Invitation.invited_by_id)) == WorkspaceRole.OWNER,
            col(Invitation.accepted_at).is_(None),
            col(Invitation.expires_at) > now,
            col(Workspace.deleted_at).is_(None),
        )
    )


def _seen_by(viewer_id: UUID, invitations: Selection) -> Selection:
    viewer = aliased(User)
    is_enabled = and_(col(viewer.id) == viewer_id, col(viewer.disabled_at).is_(None))
    owns = role_in(col(Invitation.workspace_id), viewer_id) == WorkspaceRole.OWNER
    return invitations.join(viewer, is_enabled).where(owns)
