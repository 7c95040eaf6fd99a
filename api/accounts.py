"""An administrator's account, made on the command line: the way in to a service where nobody administers yet."""

from api.app import parts_of
from api.settings import Settings
from db.models import UserRole
from domain.events import RequestFacts
from domain.users import NewUser, create_user, judge_new_user


async def create_administrator(settings: Settings, username: str, email: str, password: str) -> None:
    """Make the account by the rules of every signup. Raises Refusals, and NotMigrated before anything is asked."""
    parts = parts_of(settings)
    try:
        await parts.db.check()
        new = NewUser(username=username, email=email, password=password, role=UserRole.ADMIN)
        async with parts.db.reading() as rows:
            await judge_new_user(rows, new)
        password_hash = await parts.hasher.hash(password)
        async with parts.db.transaction() as tx:
            await create_user(tx, parts.ports, new, password_hash, RequestFacts())
    finally:
        parts.hasher.close()
        await parts.db.close()
