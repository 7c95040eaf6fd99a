"""A shared workspace and everyone who may ask about it, for tests of verbs that know different kinds of askers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from db.engine import Database, Transaction
from db.models import Event, Job, UserRole, WorkspaceRole
from domain.errors import Refusal
from domain.events import RequestFacts
from domain.ports import Ports
from domain.viewer import NOBODY, Viewer
from tests.records import MovableClock, Person, a_user, add_people, add_workspace, make_ports

FACTS = RequestFacts("request", "192.0.2.1", "a client")
ASKERS = ("nobody", "disabled", "stranger", "administrator", "viewer", "editor", "owner")
"""Whoever may ask, those with the most rights last. The one who is disabled was an owner."""
ROLES = {
    "disabled": WorkspaceRole.OWNER,
    "viewer": WorkspaceRole.VIEWER,
    "editor": WorkspaceRole.EDITOR,
    "owner": WorkspaceRole.OWNER,
}

Verb = Callable[[Transaction, Viewer], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Scene:
    """A workspace called Team, and its people by what they are there."""

    db: Database
    ports: Ports
    clock: MovableClock
    workspace_id: UUID
    people: dict[str, Person]

    def viewer(self, name: str) -> Viewer:
        if name == "nobody":
            return NOBODY
        return Viewer(self.people[name].id, UserRole.ADMIN if name == "administrator" else UserRole.USER)

    def id(self, name: str) -> UUID:
        return self.people[name].id

    async def ask(self, name: str, verb: Verb) -> object:
        """What a verb gives this asker in a transaction of its own: a refusal, or what it returns."""
        try:
            async with self.db.transaction() as tx:
                return await verb(tx, self.viewer(name))
        except Refusal as refusal:
            return refusal

    async def outcomes(self, verb: Verb, *, without: str = "") -> dict[str, str]:
        """What becomes of a verb for every asker: the name of the refusal, or ok."""
        told = {}
        for name in ASKERS:
            if name != without:
                outcome = await self.ask(name, verb)
                told[name] = type(outcome).__name__ if isinstance(outcome, Refusal) else "ok"
        return told

    async def mails(self) -> list[dict[str, str]]:
        """The mails that wait to be sent, in order."""
        async with self.db.reading() as rows:
            found = await rows.all(select(col(Job.payload)).order_by(col(Job.id)))
        return [row.payload for row in found]

    async def events(self) -> list[tuple[str, UUID | None, UUID | None, UUID | None]]:
        """Kind, actor, workspace and target of all that happened, in order."""
        columns = col(Event.kind), col(Event.actor_id), col(Event.workspace_id), col(Event.target_id)
        async with self.db.reading() as rows:
            found = await rows.all(select(*columns).order_by(col(Event.id)))
        return [(row.kind, row.actor_id, row.workspace_id, row.target_id) for row in found]


async def make_scene(db: Database) -> Scene:
    """Everyone in place; all but the stranger and the administrator are members."""
    users = [
        a_user(name, is_disabled=name == "disabled", role=UserRole.ADMIN if name == "administrator" else UserRole.USER)
        for name in ASKERS[1:]
    ]
    people = dict(zip(ASKERS[1:], await add_people(db, *users), strict=True))
    members = {name: (people[name].id, role) for name, role in ROLES.items()}
    workspace_id = await add_workspace(db, "Team", **members)
    clock = MovableClock()
    return Scene(db, make_ports(clock), clock, workspace_id, people)
