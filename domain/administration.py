"""What administrators do with people: roles, and who is kept out. The service always keeps one who can sign in.

Every verb locks the administrators before it counts them: two who demote each other at the same moment would otherwise
each still see the other. Behind the lock the second sees what the first did, also whether it may still do anything.
"""

from dataclasses import dataclass
from uuid import UUID

from db import sessions, users
from db.engine import Rows, Transaction
from db.models import UserRole
from db.questions import Page, UserFilter, UserOrderField, Window
from db.rows import UserRow
from domain.errors import AdministratorsOnly, LastAdministrator, NotFound
from domain.events import EventKind, RequestFacts, Subject, event
from domain.names import clean_line, fold
from domain.ports import Ports
from domain.topics import tell_credentials
from domain.viewer import Viewer

REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class UserRoleChange:
    """Another role for a user."""

    user_id: UUID
    role: UserRole


@dataclass(frozen=True, slots=True)
class Disabling:
    """Whether a user is kept out, and why, for the audit log."""

    user_id: UUID
    is_disabled: bool
    reason: str | None = None


async def page(
    rows: Rows, viewer: Viewer, where: UserFilter, order: tuple[UserOrderField, bool], window: Window
) -> Page[UserRow]:
    """A window of all users. Raises NotSignedIn and AdministratorsOnly."""
    viewer.administering()
    return await users.page(rows, where, order, window)


async def count(rows: Rows, viewer: Viewer, where: UserFilter) -> int:
    """How many users there are. Raises NotSignedIn and AdministratorsOnly."""
    viewer.administering()
    return await users.count(rows, where)


async def set_user_role(
    tx: Transaction, ports: Ports, viewer: Viewer, change: UserRoleChange, facts: RequestFacts
) -> UserRow:
    """Give a user another role. Raises NotSignedIn, AdministratorsOnly, NotFound and LastAdministrator."""
    administrators = await lock_administrators(tx, viewer)
    user = await existing_user(tx, change.user_id)
    if change.role == user.role:
        return user
    if change.role != UserRole.ADMIN:
        keep_an_administrator(administrators, user)
    return await _give_role(tx, ports, viewer.user_id, (user, change.role), facts)


async def promote(tx: Transaction, ports: Ports, username: str, facts: RequestFacts) -> UserRow:
    """Make a user an administrator, for who operates the service. Raises NotFound."""
    user = await users.by_username(tx, fold(username))
    if user is None:
        raise NotFound(message="There is no such user.", path=("username",))
    return await _give_role(tx, ports, None, (user, UserRole.ADMIN), facts)


async def set_user_disabled(
    tx: Transaction, ports: Ports, viewer: Viewer, disabling: Disabling, facts: RequestFacts
) -> UserRow:
    """Keep a user out, with everything that it could sign in with or lend, or let it in again.

    Raises NotSignedIn, AdministratorsOnly, NotFound, InvalidInput and LastAdministrator.
    """
    administrators = await lock_administrators(tx, viewer)
    user = await existing_user(tx, disabling.user_id)
    reason = None if disabling.reason is None else clean_line(disabling.reason, "reason", REASON_CHARACTERS)
    if disabling.is_disabled == (user.disabled_at is not None):
        return user
    if disabling.is_disabled:
        keep_an_administrator(administrators, user)
    now = ports.clock.now()
    disabled_at = now if disabling.is_disabled else None
    await users.set_disabled(tx, user.id, disabled_at, now)
    tell_credentials(tx, user.id)
    if disabling.is_disabled:
        # Otherwise whoever was signed in, and perhaps the reason for it, would be so again when the user is let in.
        await sessions.revoke_all(tx, user.id, now)
    kind = EventKind.USER_DISABLED if disabling.is_disabled else EventKind.USER_ENABLED
    subject = Subject(viewer.user_id, target_id=user.id, data={"reason": reason} if reason else None)
    await tx.add(event(kind, subject, facts, now))
    return user._replace(disabled_at=disabled_at)


async def lock_administrators(tx: Transaction, viewer: Viewer) -> set[UUID]:
    """Who administers, the viewer among them, until this transaction ends. Raises NotSignedIn, AdministratorsOnly."""
    user_id = viewer.administering()
    administrators = await users.lock_administrators(tx)
    if user_id not in administrators:
        raise AdministratorsOnly
    return administrators


async def existing_user(rows: Rows, user_id: UUID) -> UserRow:
    """A user whom an administrator names. Raises NotFound."""
    found = await users.by_ids(rows, [user_id])
    if not found:
        raise NotFound(message="There is no such user.", path=("id",))
    return found[0]


def keep_an_administrator(administrators: set[UUID], leaving: UserRow, path: tuple[str, ...] = ("id",)) -> None:
    """Raise LastAdministrator when nobody would be left without this user."""
    if administrators == {leaving.id}:
        raise LastAdministrator(path=path)


async def _give_role(
    tx: Transaction, ports: Ports, actor_id: UUID | None, given: tuple[UserRow, UserRole], facts: RequestFacts
) -> UserRow:
    user, role = given
    now = ports.clock.now()
    await users.set_role(tx, user.id, role, now)
    tell_credentials(tx, user.id)
    subject = Subject(actor_id, target_id=user.id, data={"from": user.role, "to": role})
    await tx.add(event(EventKind.USER_ROLE_CHANGED, subject, facts, now))
    return user._replace(role=role)
