"""People and programs with an account: who may have which name, and how an account comes to be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db import users
from db.engine import Rows, Transaction
from db.models import Member, User, UserRole, Workspace, WorkspaceRole
from db.rows import UserRow
from db.violations import Duplicate
from domain import devices, passwords
from domain.analytics_deltas import count_signup
from domain.emails import fold_email
from domain.errors import BadCredential, InvalidInput, NameTaken, PasswordTooWeak, Refusal, Refusals
from domain.events import EventKind, RequestFacts, Subject, event
from domain.names import fold
from domain.ports import Ports
from domain.scopes import Scope
from domain.viewer import Viewer

USERNAME = re.compile(r"[A-Za-z0-9_.-]{3,32}")
PERSONAL_WORKSPACE_NAME = "Personal"


@dataclass(frozen=True, slots=True)
class NewUser:
    """Someone who wants an account, with the password as typed."""

    username: str
    email: str
    password: str
    role: UserRole = UserRole.USER


async def judge_new_user(rows: Rows, new: NewUser) -> None:
    """Raise Refusals with everything that is wrong with a new account, all at once."""
    refusals = _judge_form(new)
    wrong = {refusal.path for refusal in refusals}
    has_username, has_email = await users.taken(
        rows,
        "" if ("username",) in wrong else fold(new.username),
        "" if ("email",) in wrong else fold_email(new.email),
    )
    refusals += [username_taken(new.username)] if has_username else []
    refusals += [_email_taken(new)] if has_email else []
    if refusals:
        raise Refusals(refusals)


async def create_user(tx: Transaction, ports: Ports, new: NewUser, password_hash: str, facts: RequestFacts) -> UserRow:
    """Make a judged account with its personal workspace. Raises Refusals when a name was taken meanwhile."""
    now = ports.clock.now()
    user = User(
        username=new.username,
        username_folded=fold(new.username),
        email=new.email,
        email_folded=fold_email(new.email),
        password_hash=password_hash,
        role=new.role,
        created_at=now,
        updated_at=now,
    )
    workspace = Workspace(name=PERSONAL_WORKSPACE_NAME, personal_user_id=user.id, created_at=now)
    owner = Member(workspace_id=workspace.id, user_id=user.id, role=WorkspaceRole.OWNER, created_at=now)
    try:
        await tx.add(user)
    except Duplicate as duplicate:
        raise Refusals(
            [_email_taken(new) if duplicate.concerns("email_folded") else username_taken(new.username)]
        ) from None
    created = event(EventKind.USER_CREATED, Subject(user.id, workspace.id, user.id), facts, now)
    await tx.add(workspace, owner, created)
    await count_signup(tx, user.id, now)
    await devices.remember(tx, user.id, facts, now)
    return UserRow(user.id, user.username, user.email, user.role, None, None, now, None)


async def by_ids(rows: Rows, viewer: Viewer, user_ids: Sequence[UUID]) -> list[UserRow]:
    """Those of the users that the viewer may see: itself, who shares a workspace with it, for administrators all.

    Raises ScopeMissing: others are met in workspaces, by who reads what is there and by who manages its members.
    """
    if viewer.is_admin or {*user_ids} == {viewer.user_id}:
        return await users.by_ids(rows, user_ids)
    user_id = viewer.known(Scope.ACCOUNT_WRITE if viewer.may(Scope.ACCOUNT_WRITE) else Scope.FILES_READ)
    return await users.visible_by_ids(rows, user_id, user_ids) if user_id else []


async def own_by_ids(rows: Rows, viewer: Viewer, user_ids: Sequence[UUID]) -> list[UserRow]:
    """The viewer itself, if it is among the users: any key may know whose it is."""
    return await users.by_ids(rows, [user_id for user_id in user_ids if user_id == viewer.user_id])


async def uploaders_by_ids(rows: Rows, _viewer: Viewer, user_ids: Sequence[UUID]) -> list[UserRow]:
    """Those of the users that exist, for files that the viewer has been shown already."""
    return await users.by_ids(rows, user_ids)


async def hold_own(tx: Transaction, viewer: Viewer) -> UserRow:
    """The viewer, locked until the transaction ends.

    Raises NotSignedIn, ScopeMissing, and BadCredential when the user is gone or disabled.
    """
    user_id = viewer.required(Scope.ACCOUNT_WRITE)
    if not await users.hold_enabled(tx, user_id):
        raise BadCredential
    [user] = await users.by_ids(tx, [user_id])
    return user


def judge_username(username: str) -> None:
    """Raise InvalidInput unless somebody may be called so. In ASCII alone nothing looks like something else."""
    if not USERNAME.fullmatch(username):
        message = "A username has 3 to 32 characters: letters of the English alphabet, digits, '_', '.' and '-'."
        raise InvalidInput(message=message, path=("username",))


def username_taken(username: str) -> NameTaken:
    """The refusal of a username that somebody has, in whatever case."""
    return NameTaken(message="Somebody has this username already.", name=username, path=("username",))


def _judge_form(new: NewUser) -> list[Refusal]:
    refusals: list[Refusal] = []
    for judge, given in ((judge_username, new.username), (fold_email, new.email)):
        try:
            judge(given)
        except InvalidInput as refusal:
            refusals.append(refusal)
    reasons = passwords.weaknesses(new.password, new.username, new.email)
    if reasons:
        refusals.append(PasswordTooWeak(reasons=reasons, path=("password",)))
    return refusals


def _email_taken(new: NewUser) -> NameTaken:
    return NameTaken(message="Somebody has an account with this email already.", name=new.email, path=("email",))
