"""Who asks by an API key: its owner, and never more than its owner."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db import api_keys
from db.engine import Database
from db.models import UserRole
from db.rows import PresentedKeyRow
from domain.address_ranges import is_within
from domain.errors import BadCredential
from domain.key_secrets import hash_of
from domain.ports import Clock
from domain.scopes import Scope
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The viewer that a key makes, and when its use was noted last."""

    viewer: Viewer
    api_key_id: UUID
    last_used_at: datetime | None


async def holder_of(db: Database, clock: Clock, secret: str, address: str | None) -> KeyHolder:
    """Who asks by this secret from this address, asked anew each time. Raises BadCredential."""
    secret_hash = hash_of(secret)
    row = await db.ask(api_keys.presented, secret_hash) if secret_hash else None
    return judged(row, clock.now(), address)


def judged(row: PresentedKeyRow | None, now: datetime, address: str | None) -> KeyHolder:
    """The holder of a key that was found. Raises BadCredential, and does not say what is wrong with it."""
    if row is None or not _is_good(row, now) or not is_within(address, row.addresses):
        raise BadCredential(message="The API key is not valid, no longer valid, or not valid from this address.")
    scopes = frozenset(scope for scope in Scope if scope in row.scopes)
    viewer = Viewer(row.user_id, UserRole(row.role), api_key_id=row.api_key_id, scopes=scopes)
    return KeyHolder(viewer, row.api_key_id, row.last_used_at)


def _is_good(row: PresentedKeyRow, now: datetime) -> bool:
    return all(end is None or now < end for end in (row.expires_at, row.secret_expires_at))
