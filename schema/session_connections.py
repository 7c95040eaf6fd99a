"""Sessions, as their person and administrators see them, in pages."""

from functools import partial
from uuid import UUID

import strawberry

from db.rows import SessionRow
from domain.viewer import Viewer
from schema.connections import Connection, Cursors, PageArguments, connection_of, window_of
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


async def sessions_of(loaders: Loaders, user_id: UUID, arguments: PageArguments) -> Connection[Session]:
    """A page of a user's sessions. Raises InvalidInput."""
    page = await loaders.sessions.load((user_id, window_of(arguments, CURSORS)))
    count = partial(loaders.session_counts.load, user_id)
    return connection_of(page, CURSORS, lambda row: session_of(row, loaders.viewer), count)
