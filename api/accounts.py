"""Administrators made on the command line: the way in to a service where nobody administers yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.parts import Parts, parts_of
from api.settings import Settings
from db.models import UserRole
from domain.administration import promote
from domain.events import RequestFacts
from domain.users import NewUser, create_user, judge_new_user


async def create_administrator(settings: Settings, username: str, email: str, password: str) -> None:
    """Make the account by the rules of every signup. Raises Refusals, and NotMigrated before anything is asked."""
    async with _parts(settings) as parts:
        new = NewUser(username=username, email=email, password=password, role=UserRole.ADMIN)
        async with parts.db.reading() as rows:
            await judge_new_user(rows, new)
        password_hash = await parts.hasher.hash(password)
        async with parts.db.transaction() as tx:
            await create_user(tx, parts.ports, new, password_hash, RequestFacts())


async def promote_user(settings: Settings, username: str) -> str:
    """Make a user an administrator, and give the name as it is written. Raises NotFound and NotMigrated."""
    async with _parts(settings) as parts, parts.db.transaction() as tx:
        return (await promote(tx, parts.ports, username, RequestFacts())).username


@asynccontextmanager
async def _parts(settings: Settings) -> AsyncIterator[Parts]:
    parts = parts_of(settings)
    try:
        await parts.db.check()
        yield parts
    finally:
        parts.hasher.close()
        await parts.db.close()
