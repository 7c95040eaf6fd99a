"""Invitations: a role in a workspace, offered by an owner to whoever has an email, and accepted by that person.

Nothing here tells whether an email has an account: inviting works alike for all, and so does every refusal of a token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db import invitations, members, users, workspaces
from db.engine import Rows, Transaction
from db.models import Invitation, Member, WorkspaceRole
from db.questions import Page, Window
from db.rows import InvitationRow, WorkspaceRow
from domain import mails
from domain.access import shared_workspace
from domain.emails import fold_email
from domain.errors import NotFound
from domain.events import EventKind, RequestFacts, Subject, event
from domain.letters import MailToken
from domain.opaque_tokens import draw_token, hash_of
from domain.ports import Ports
from domain.rates import count_mail
from domain.scopes import Scope
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Invited:
    """Whom an owner wants in a workspace, and as what."""

    workspace_id: UUID
    email: str
    role: WorkspaceRole


async def pages(
    rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID], question: tuple[datetime, Window]
) -> Mapping[UUID, Page[InvitationRow]]:
    """For each workspace a window of the invitations that can be accepted now, for its owners.

    Raises NotSignedIn and ScopeMissing.
    """
    now, window = question
    return await invitations.pages(rows, viewer.required(Scope.ACCOUNT_READ), workspace_ids, now, window)


async def counts(rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID], now: datetime) -> Mapping[UUID, int]:
    """For each workspace how many `pages` has. Raises NotSignedIn and ScopeMissing."""
    return await invitations.counts(rows, viewer.required(Scope.ACCOUNT_READ), workspace_ids, now)


async def count_invitation(ports: Ports, viewer: Viewer, email: str, facts: RequestFacts) -> None:
    """Count the mail that an invitation would be.

    Raises NotSignedIn, ScopeMissing, InvalidInput and RateLimited.
    """
    viewer.required(Scope.ACCOUNT_WRITE)
    await count_mail(ports, fold_email(email), facts)


async def invite_member(
    tx: Transaction, ports: Ports, viewer: Viewer, invited: Invited, facts: RequestFacts
) -> InvitationRow:
    """Offer a role, as an owner; what the email was offered before is withdrawn. The token goes into the mail alone.

    Raises NotSignedIn, ScopeMissing, NotFound, Forbidden, PersonalWorkspace and InvalidInput.
    """
    workspace = await shared_workspace(tx, viewer, invited.workspace_id)
    email_folded = fold_email(invited.email)
    token, lifetime = draw_token(ports.randomness), ports.workspace_policy.invitation_lifetime
    now = ports.clock.now()
    offered = Invitation(
        workspace_id=workspace.id,
        email_folded=email_folded,
        role=invited.role,
        invited_by_id=viewer.user_id,
        token_hash=token.hash,
        created_at=now,
        expires_at=now + lifetime,
    )
    await invitations.withdraw(tx, workspace.id, email_folded)
    subject = Subject(viewer.user_id, workspace.id, offered.id, data={"role": invited.role})
    await tx.add(offered, event(EventKind.INVITATION_SENT, subject, facts, now))
    [inviter] = await users.by_ids(tx, [viewer.required(Scope.ACCOUNT_WRITE)])
    letter = mails.Invitation(invited.email, inviter.username, workspace.name, invited.role)
    message = mails.invitation_mail(ports.public_url, letter, MailToken(token.text, lifetime))
    await mails.enqueue_mail(tx, ports, message)
    return InvitationRow(offered.id, workspace.id, email_folded, invited.role, viewer.user_id, now, offered.expires_at)


async def sent(rows: Rows, viewer: Viewer, invitation_id: UUID) -> InvitationRow | None:
    """An invitation, accepted or not, to a workspace that the viewer owns. Raises NotSignedIn and ScopeMissing."""
    return await invitations.sent(rows, viewer.required(Scope.ACCOUNT_WRITE), invitation_id)


async def accept_invitation(
    tx: Transaction, ports: Ports, viewer: Viewer, token: str, facts: RequestFacts
) -> WorkspaceRow:
    """Come into a workspace, once, as the person whose email was invited. Who is a member keeps the role it has.

    Raises NotSignedIn and ScopeMissing, and NotFound for a token that is unknown, used, expired, revoked or not theirs.
    """
    user_id, now = viewer.required(Scope.ACCOUNT_WRITE), ports.clock.now()
    token_hash = hash_of(token)
    offer = await invitations.offer(tx, user_id, token_hash, now) if token_hash else None
    if offer is None or not await _take(tx, offer, user_id, now):
        raise _no_such_invitation(("token",))
    if await members.find(tx, offer.workspace_id, user_id) is None:
        role = WorkspaceRole(offer.role)
        await tx.add(Member(workspace_id=offer.workspace_id, user_id=user_id, role=role, created_at=now))
        subject = Subject(user_id, offer.workspace_id, user_id, data={"role": role})
        await tx.add(event(EventKind.MEMBER_JOINED, subject, facts, now))
    [workspace] = await workspaces.by_ids(tx, user_id, [offer.workspace_id])
    return workspace


async def revoke_invitation(
    tx: Transaction, ports: Ports, viewer: Viewer, invitation_id: UUID, facts: RequestFacts
) -> InvitationRow:
    """Take an offer back, as an owner. Raises NotSignedIn, ScopeMissing and NotFound."""
    user_id, now = viewer.required(Scope.ACCOUNT_WRITE), ports.clock.now()
    found = await invitations.find(tx, user_id, invitation_id, now)
    if found is None or not await invitations.revoke(tx, invitation_id):
        raise _no_such_invitation(("id",))
    subject = Subject(user_id, found.workspace_id, found.id, data={"role": found.role})
    await tx.add(event(EventKind.INVITATION_REVOKED, subject, facts, now))
    return found


async def _take(tx: Transaction, offer: invitations.Offer, user_id: UUID, now: datetime) -> bool:
    """Whether the offer is still good once nobody can delete the person or the workspace, and nobody else took it."""
    return (
        await users.hold_enabled(tx, user_id)
        and bool(await workspaces.lock(tx, [offer.workspace_id]))
        and await invitations.accept(tx, offer.id, now)
    )


def _no_such_invitation(path: tuple[str, ...]) -> NotFound:
    return NotFound(message="There is no such invitation.", path=path)
