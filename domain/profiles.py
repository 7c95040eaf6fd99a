"""What people say of themselves: the username, by the rules of signup."""

from db import users
from db.engine import Transaction
from db.rows import UserRow
from db.violations import Duplicate
from domain.events import EventKind, RequestFacts, Subject, event
from domain.names import fold
from domain.ports import Ports
from domain.scopes import Scope
from domain.users import hold_own, judge_username, username_taken
from domain.viewer import Viewer


async def change_username(tx: Transaction, ports: Ports, viewer: Viewer, username: str, facts: RequestFacts) -> UserRow:
    """Give the viewer another username. Raises NotSignedIn, ScopeMissing, BadCredential, InvalidInput and NameTaken."""
    viewer.required(Scope.ACCOUNT_WRITE)
    judge_username(username)
    user = await hold_own(tx, viewer)
    if username == user.username:
        return user
    now = ports.clock.now()
    try:
        await users.set_username(tx, user.id, (username, fold(username)), now)
    except Duplicate:
        raise username_taken(username) from None
    told = {"from": user.username, "to": username}
    await tx.add(event(EventKind.USER_RENAMED, Subject(user.id, target_id=user.id, data=told), facts, now))
    return user._replace(username=username)
