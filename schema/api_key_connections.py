"""API keys, as their owner and administrators see them, in pages."""

from functools import partial
from uuid import UUID

import strawberry

from db.rows import ApiKeyRow
from schema.connections import Connection, Cursors, PageArguments, connection_of, window_of
from schema.ids import Prefix, encode
from schema.loaders import Loaders
from schema.scalars import DateTime, parse_date_time

CURSORS = Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time)


@strawberry.type(description="What a program asks with in the name of a user. Its secret is told once and never again.")
class ApiKey:
    """An API key."""

    id: strawberry.ID = strawberry.field(description="For `updateApiKey`, `rotateApiKey` and `revokeApiKey`.")
    name: str = strawberry.field(description="What it is for.")
    prefix: str = strawberry.field(description="How its secrets begin, to recognise it by; the same after a rotation.")
    scopes: list[str] = strawberry.field(description="What it is allowed, such as `files:read`.")
    addresses: list[str] = strawberry.field(
        description="The ranges of network addresses that it is good from; empty: from anywhere."
    )
    created_at: DateTime = strawberry.field(description="When it was made.")
    expires_at: DateTime | None = strawberry.field(description="When it ends; null: when it is revoked.")
    last_used_at: DateTime | None = strawberry.field(description="When it was used last, to the minute; null: never.")


def api_key_of(row: ApiKeyRow) -> ApiKey:
    """The key of a row."""
    return ApiKey(
        id=encode(Prefix.API_KEY, row.id),
        name=row.name,
        prefix=row.token_prefix,
        scopes=list(row.scopes),
        addresses=list(row.addresses),
        created_at=DateTime(row.created_at),
        expires_at=DateTime(row.expires_at) if row.expires_at else None,
        last_used_at=DateTime(row.last_used_at) if row.last_used_at else None,
    )


async def api_keys_of(loaders: Loaders, user_id: UUID, arguments: PageArguments) -> Connection[ApiKey]:
    """A page of a user's keys. Raises InvalidInput."""
    page = await loaders.api_keys.load((user_id, window_of(arguments, CURSORS)))
    return connection_of(page, CURSORS, api_key_of, partial(loaders.api_key_counts.load, user_id))
