"""What tests do behind the service's back: what no client can do, or only with what comes by mail."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from sqlalchemy import Engine, event, update
from sqlmodel import col

from api.lifespan import SWEEPS
from api.settings import Settings
from db.engine import Database, Transaction
from db.models import Invitation, Member, User, UserRole, WorkspaceRole
from tests.asking import Account


def stored(settings: Settings) -> list[Path]:
    """Everything that lies in the store, once each: until its lease has ended, a blob has two names."""
    found = {path.name: path for path in settings.data_folder.rglob("*") if path.is_file() and path.name != "secret"}
    return [*found.values()]


def uuid_of(given: str) -> UUID:
    """The UUID inside an id."""
    return UUID(given.partition("_")[2])


@asynccontextmanager
async def changing(database_url: str) -> AsyncIterator[Transaction]:
    """A transaction in the database of a running service."""
    database = Database(database_url)
    try:
        async with database.transaction() as tx:
            yield tx
    finally:
        await database.close()


async def join(database_url: str, account: Account, workspace_id: str, role: WorkspaceRole) -> None:
    """Make somebody a member without an invitation."""
    async with changing(database_url) as tx:
        ids = {"workspace_id": uuid_of(workspace_id), "user_id": uuid_of(account.id)}
        await tx.add(Member(**ids, role=role, created_at=datetime.now(UTC)))


async def promote(database_url: str, account: Account) -> None:
    """Make somebody an administrator."""
    async with changing(database_url) as tx:
        await tx.execute(update(User).where(col(User.id) == uuid_of(account.id)).values(role=UserRole.ADMIN))


async def give_token(database_url: str, invitation_id: str, token: str) -> None:
    """Have an invitation accepted with this token, as if the mail had said so."""
    async with changing(database_url) as tx:
        told = sha256(token.encode()).hexdigest()
        await tx.execute(update(Invitation).where(col(Invitation.id) == uuid_of(invitation_id)).values(token_hash=told))


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are run inside the block, but for those of sweeps, which begin with the service."""
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        task = asyncio.current_task()
        if task is None or task.get_name() != SWEEPS:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", count)


@contextmanager
def breaking(beginning: str) -> Iterator[None]:
    """Have the connection break at each statement that begins so."""

    def break_(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(beginning):
            raise ConnectionResetError

    event.listen(Engine, "before_cursor_execute", break_)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", break_)
