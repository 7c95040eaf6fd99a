"""Mutations that make something once, however often their request is sent under one key."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from db.engine import Rows, Transaction
from domain.idempotency import Asked, Result, make_once, remember
from schema.context import Context, changing
from schema.loaders import Identified

IDEMPOTENCY_KEY = (
    "A key of your choice, such as a UUID, of 1 to 255 characters. The same request under the same key within a day "
    "makes nothing more, and is answered with what the first has made."
)

Made = TypeVar("Made", bound=Identified)


async def made_once(
    context: Context,
    asked: Asked | None,
    make: Callable[[Transaction], Awaitable[Made]],
    again: Callable[[Rows, UUID], Awaitable[Made | None]],
) -> Made:
    """What one verb makes in one transaction, which remembers it under the key, or what was made under it before."""
    now = context.ports.clock.now()

    async def make_and_remember() -> Made:
        async with changing(context) as tx:
            made = await make(tx)
            await remember(tx, [Result(asked, made.id)], now)
        return made

    return await make_once(context.db, (asked, now), make_and_remember, again)
