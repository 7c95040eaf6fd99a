"""Events, as the audit log and the activity of an account show them."""

from typing import Any
from uuid import UUID

import strawberry

from db.questions import EventFilter
from db.rows import EventRow
from domain import events
from schema.connections import Connection, Cursors, PageArguments, connection_of, nothing_in, window_of
from schema.event_kinds import DETAILS, TARGETS, EventKind
from schema.ids import NOTHING, Prefix, decode, decode_any, encode
from schema.loaders import Loaders
from schema.scalars import JSON, ByteCount, DateTime, parse_date_time
from schema.users import User, user_of
from schema.workspaces import Workspace, workspace_of

CURSORS = Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time)


@strawberry.input(description="Which events: every condition given must hold. Bounds include `From` and exclude `To`.")
class EventWhere:
    """See `db.questions.EventFilter`."""

    actor_id: strawberry.ID | None = strawberry.field(default=None, description="Done by this user.")
    kinds: list[EventKind] | None = strawberry.field(default=None, description="Of any of these kinds.")
    target_id: strawberry.ID | None = strawberry.field(
        default=None, description="Done to this file, user, workspace or invitation."
    )
    workspace_id: strawberry.ID | None = strawberry.field(default=None, description="Done in this workspace.")
    created_from: DateTime | None = strawberry.field(default=None, description="Done then or later.")
    created_to: DateTime | None = strawberry.field(default=None, description="Done before then.")


@strawberry.type(description="Something that happened. History outlives what it tells of.")
class Event:
    """An event."""

    row: strawberry.Private[EventRow]
    loaders: strawberry.Private[Loaders]
    id: strawberry.ID = strawberry.field(description="Opaque and unique.")
    kind: EventKind = strawberry.field(description="What it tells of.")
    created_at: DateTime = strawberry.field(description="When it happened.")
    target_id: strawberry.ID | None = strawberry.field(description="The id of what it was done to.")
    size: ByteCount | None = strawberry.field(description="The bytes that it is about, where it is about bytes.")
    address: str | None = strawberry.field(description="The network address that the request came from.")
    request_id: str | None = strawberry.field(description="The `X-Request-ID` of the request, for the logs.")
    data: JSON | None = strawberry.field(
        description="Details, by kind. Those of a file are null for who is no member of its workspace."
    )

    @strawberry.field(description="Who did it; null when nobody was signed in, and when the account is gone.")
    async def actor(self) -> User | None:
        """Seen by administrators, and by the person."""
        row = await self.loaders.users.load(self.row.actor_id) if self.row.actor_id else None
        return row and user_of(row, self.loaders)

    @strawberry.field(description="Where it was done; null when that was in none, is gone, or is not yours to see.")
    async def workspace(self) -> Workspace | None:
        """Seen by members and administrators."""
        row = await self.loaders.known_workspaces.load(self.row.workspace_id) if self.row.workspace_id else None
        return row and workspace_of(row, self.loaders)


def event_of(row: EventRow, loaders: Loaders) -> Event:
    """The event of a row."""
    kind = events.EventKind(row.kind)
    return Event(
        row=row,
        loaders=loaders,
        id=encode(Prefix.EVENT, row.id),
        kind=EventKind[kind.name],
        created_at=DateTime(row.created_at),
        target_id=encode(_target_of(kind), row.target_id) if row.target_id else None,
        size=None if row.size is None else ByteCount(row.size),
        address=row.address,
        request_id=row.request_id,
        data=None if row.data is None else JSON({name: _detail(name, value) for name, value in row.data.items()}),
    )


def filter_of(where: EventWhere) -> EventFilter:
    """What the database is asked for."""
    target = None if where.target_id is None else decode_any(where.target_id) or (None, NOTHING)
    return EventFilter(
        actor_id=None if where.actor_id is None else decode(Prefix.USER, where.actor_id),
        kinds=_kinds_of(where.kinds, target and target[0]),
        target_id=target and target[1],
        workspace_id=None if where.workspace_id is None else decode(Prefix.WORKSPACE, where.workspace_id),
        created_from=where.created_from,
        created_to=where.created_to,
    )


async def activity_of(
    loaders: Loaders, user_id: UUID, where: EventWhere, arguments: PageArguments
) -> Connection[Event]:
    """A page of what a user did, the newest first."""
    event_filter, window = filter_of(where), window_of(arguments, CURSORS)

    async def count() -> int:
        return await loaders.activity_counts.load((user_id, event_filter)) or 0

    page = await loaders.activity_pages.load((user_id, (event_filter, window))) or nothing_in(window)
    return connection_of(page, CURSORS, lambda row: event_of(row, loaders), count)


def _detail(name: str, value: Any) -> object:  # noqa: ANN401 - whatever JSON has
    return encode(DETAILS[name], UUID(value)) if name in DETAILS else value


def _kinds_of(kinds: list[EventKind] | None, target: Prefix | None) -> tuple[str, ...] | None:
    """The kinds that are asked for, as far as something of the target's kind is what they were done to."""
    if kinds is None and target is None:
        return None
    asked = [events.EventKind[kind.name] for kind in (EventKind if kinds is None else kinds)]
    return tuple(kind for kind in dict.fromkeys(asked) if target in {None, _target_of(kind)})


def _target_of(kind: events.EventKind) -> Prefix:
    return TARGETS.get(kind.partition(".")[0], Prefix.USER)
