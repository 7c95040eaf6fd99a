"""The end of an account, with everything it owns: its personal workspace goes, shared ones must have another owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db import members, users, workspaces
from db.engine import Transaction
from db.members import NamedWorkspace
from db.models import Member, WorkspaceRole
from db.rows import UserRow
from domain.administration import existing_user, keep_an_administrator, lock_administrators
from domain.errors import InvalidInput, NotFound, OwnsWorkspaces
from domain.events import EventKind, RequestFacts, Subject, event
from domain.ports import Ports
from domain.viewer import Viewer

NAMES_TOLD = 100
_HAND_OVER = ("handOverTo",)


@dataclass(frozen=True, slots=True)
class Departure:
    """A user to be deleted, and who is to own the workspaces that nobody else owns."""

    user_id: UUID
    hand_over_to: UUID | None = None


@dataclass(frozen=True, slots=True)
class Departed:
    """A user as it was, and its personal workspace, whose files are to be purged after the commit."""

    user: UserRow
    workspace_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class _Handing:
    ports: Ports
    viewer: Viewer
    facts: RequestFacts


async def delete_user(
    tx: Transaction, ports: Ports, viewer: Viewer, departure: Departure, facts: RequestFacts
) -> Departed:
    """Remove an account with its personal workspace. What it brought to shared workspaces stays there, without a name.

    Raises NotSignedIn, AdministratorsOnly, NotFound, LastAdministrator, OwnsWorkspaces and InvalidInput.
    """
    administrators = await lock_administrators(tx, viewer)
    user = await existing_user(tx, departure.user_id)
    keep_an_administrator(administrators, user)
    # Workspaces before their people, as an upload has them: each waits for the other and neither for ever.
    await workspaces.lock(tx, await members.owned(tx, user.id))
    await users.lock(tx, user.id)
    await _hand_over(tx, _Handing(ports, viewer, facts), user, departure.hand_over_to)
    personal = [workspace.id for workspace in await workspaces.personal_of(tx, viewer.administering(), [user.id])]
    now = ports.clock.now()
    await workspaces.mark_deleted(tx, personal, now)
    await users.remove(tx, user.id)
    subject = Subject(viewer.user_id, target_id=user.id, data={"username": user.username})
    await tx.add(event(EventKind.USER_DELETED, subject, facts, now))
    return Departed(user, personal)


async def _hand_over(tx: Transaction, handing: _Handing, leaving: UserRow, to_id: UUID | None) -> None:
    owned = await members.solely_owned(tx, leaving.id)
    if not owned:
        return
    if to_id is None:
        raise _owns(owned)
    if to_id == leaving.id:
        raise InvalidInput(message="Workspaces are handed over to somebody else.", path=_HAND_OVER)
    if not await users.hold_enabled(tx, to_id):
        raise NotFound(message="There is no such user, or it is disabled.", path=_HAND_OVER)
    for workspace in owned:
        await _make_owner(tx, handing, workspace.id, (leaving.id, to_id))


async def _make_owner(tx: Transaction, handing: _Handing, workspace_id: UUID, parties: tuple[UUID, UUID]) -> None:
    from_id, to_id = parties
    now = handing.ports.clock.now()
    if await members.find(tx, workspace_id, to_id) is None:
        await tx.add(Member(workspace_id=workspace_id, user_id=to_id, role=WorkspaceRole.OWNER, created_at=now))
    else:
        await members.set_role(tx, workspace_id, to_id, WorkspaceRole.OWNER)
    told = {"fromUserId": str(from_id), "toUserId": str(to_id)}
    subject = Subject(handing.viewer.user_id, workspace_id, workspace_id, data=told)
    await tx.add(event(EventKind.WORKSPACE_HANDED_OVER, subject, handing.facts, now))


def _owns(owned: Sequence[NamedWorkspace]) -> OwnsWorkspaces:
    names = tuple(workspace.name for workspace in owned[:NAMES_TOLD])
    message = f"Nobody else owns {', '.join(names)}{' and others' if len(owned) > NAMES_TOLD else ''}: hand them over."
    return OwnsWorkspaces(message=message, names=names, path=_HAND_OVER)
