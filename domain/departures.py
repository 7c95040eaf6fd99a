"""The end of an account, with everything it owns: its personal workspace goes, shared ones must have another owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db import files, members, quotas, uploads, users, workspaces
from db.engine import Transaction
from db.members import NamedWorkspace
from db.models import Member, WorkspaceRole
from db.rows import UserRow
from domain import proofs
from domain.administration import existing_user, keep_an_administrator, lock_administrators
from domain.analytics_deltas import count_departure
from domain.errors import InvalidInput, NotFound, OwnsWorkspaces, WrongPassword
from domain.events import EventKind, RequestFacts, Subject, event
from domain.ports import Ports
from domain.proofs import Proof
from domain.topics import tell_credentials
from domain.viewer import Viewer

NAMES_TOLD = 100
_HAND_OVER = ("handOverTo",)


@dataclass(frozen=True, slots=True)
class Departure:
    """A user to be deleted, and who is to own the workspaces that nobody else owns."""

    user_id: UUID
    hand_over_to: UUID | None = None


@dataclass(frozen=True, slots=True)
class OwnDeparture:
    """The password of somebody who leaves, compared, and which member is to own the workspaces nobody else owns."""

    proof: Proof
    hand_over_to: UUID | None = None


@dataclass(frozen=True, slots=True)
class Departed:
    """A user as it was, and the workspaces that went with it, whose files are to be purged after the commit."""

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
    handing = _Handing(ports, viewer, facts)
    await _hand_over(tx, handing, user, departure.hand_over_to)
    return Departed(user, await _remove(tx, handing, user))


async def delete_account(
    tx: Transaction, ports: Ports, viewer: Viewer, departure: OwnDeparture, facts: RequestFacts
) -> Departed | WrongPassword:
    """Remove the viewer's own account, with its personal workspace and those that have no other member.

    What others are members of and nobody else owns is handed to one of them, or named. A wrong password is returned,
    not raised, because it is recorded.

    Raises NotSignedIn, NotForKeys, LastAdministrator, OwnsWorkspaces, InvalidInput and NotFound.
    """
    user_id = viewer.in_person()
    # The same locks in the same order as above, before the one that the proof takes.
    administrators = await users.lock_administrators(tx)
    await workspaces.lock(tx, await members.owned(tx, user_id))
    await users.lock(tx, user_id)
    refusal = await proofs.accept(tx, ports, viewer, departure.proof, facts)
    if refusal is not None:
        return refusal
    user = await existing_user(tx, user_id)
    keep_an_administrator(administrators, user, ())
    handing = _Handing(ports, viewer, facts)
    alone = await _close(tx, handing, user)
    await _keep_among_members(tx, user, departure.hand_over_to)
    await _hand_over(tx, handing, user, departure.hand_over_to)
    return Departed(user, [*alone, *await _remove(tx, handing, user)])


async def _remove(tx: Transaction, handing: _Handing, user: UserRow) -> list[UUID]:
    personal = [row.id for row in await workspaces.personal_of(tx, user.id, [user.id])]
    now = handing.ports.clock.now()
    await workspaces.mark_deleted(tx, personal, now)
    # They lose the user's name with the user, in whatever order the database does it.
    await files.lock_made_by(tx, user.id)
    await uploads.lock_made_by(tx, user.id)
    await users.remove(tx, user.id)
    tell_credentials(tx, user.id)
    await quotas.forget(tx, user.id)
    subject = Subject(handing.viewer.user_id, target_id=user.id, data={"username": user.username})
    await tx.add(event(EventKind.USER_DELETED, subject, handing.facts, now))
    await count_departure(tx, now)
    return personal


async def _close(tx: Transaction, handing: _Handing, leaving: UserRow) -> list[UUID]:
    now = handing.ports.clock.now()
    closed = await members.alone_in(tx, leaving.id)
    for workspace in closed:
        told = {"name": workspace.name, "files": await files.count_in(tx, workspace.id)}
        subject = Subject(leaving.id, workspace.id, workspace.id, data=told)
        await tx.add(event(EventKind.WORKSPACE_DELETED, subject, handing.facts, now))
    await workspaces.mark_deleted(tx, [workspace.id for workspace in closed], now)
    return [workspace.id for workspace in closed]


async def _keep_among_members(tx: Transaction, leaving: UserRow, to_id: UUID | None) -> None:
    """An administrator may give a workspace to anybody; its owner, who cannot know who there is, to its members."""
    if to_id is not None:
        owned = [workspace.id for workspace in await members.solely_owned(tx, leaving.id)]
        if len(await workspaces.memberships(tx, [to_id], owned)) < len(owned):
            raise NotFound(message="Not all of the workspaces have such a member.", path=_HAND_OVER)


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
