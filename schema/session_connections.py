"""Sessions, as their person and administrators see them, in pages."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import strawberry

from db.rows import SessionRow
from domain.viewer import Viewer
from schema.connections import Cursors, PageArguments, PageInfo, page_info_of, window_of
from schema.ids import Prefix, encode
from schema.loaders import Loaders
from schema.scalars import DateTime, parse_date_time

CURSORS = Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time)


@strawberry.type(description="A device or program that is signed in.")
class Session:
    """A session."""

    id: strawberry.ID = strawberry.field(description="For `revokeSession`.")
    created_at: DateTime = strawberry.field(description="When it was signed in.")
    last_used_at: DateTime = strawberry.field(description="When it was signed in or refreshed last.")
    expires_at: DateTime = strawberry.field(description="When it ends unless it is refreshed before.")
    address: str | None = strawberry.field(description="The network address that it was signed in from, if known.")
    user_agent: str | None = strawberry.field(description="What the program called itself, if it did.")
    current: bool = strawberry.field(description="Whether it is the one you ask by.")


@strawberry.type(description="A session in a list.")
class SessionEdge:
    """Relay's edge."""

    node: Session = strawberry.field(description="The session.")
    cursor: str = strawberry.field(description="Where it stands, for `after` and `before`.")


@strawberry.type(description="A page of sessions.")
class SessionConnection:
    """Relay's connection."""

    count: strawberry.Private[Callable[[], Awaitable[int]]]
    edges: list[SessionEdge] = strawberry.field(description="The sessions of this page, with their cursors.")
    nodes: list[Session] = strawberry.field(description="The sessions of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the whole list.")

    @strawberry.field(description="How many sessions there are on all pages. Counted only when asked for.")
    async def total_count(self) -> int:
        """One statement however many users are asked."""
        return await self.count()


def session_of(row: SessionRow, viewer: Viewer) -> Session:
    """The session of a row."""
    return Session(
        id=encode(Prefix.SESSION, row.id),
        created_at=DateTime(row.created_at),
        last_used_at=DateTime(row.last_used_at),
        expires_at=DateTime(row.expires_at),
        address=row.address,
        user_agent=row.user_agent,
        current=row.id == viewer.session_id,
    )


async def sessions_of(loaders: Loaders, user_id: UUID, arguments: PageArguments) -> SessionConnection:
    """A page of a user's sessions. Raises InvalidInput."""
    page = await loaders.sessions.load((user_id, window_of(arguments, CURSORS)))
    edges = [SessionEdge(node=session_of(row, loaders.viewer), cursor=CURSORS.encode(row)) for row in page.items]
    return SessionConnection(
        count=partial(loaders.session_counts.load, user_id),
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=page_info_of(page, [edge.cursor for edge in edges]),
    )
