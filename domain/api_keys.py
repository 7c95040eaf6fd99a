"""API keys: made, changed, rotated and revoked by their owner, who has signed in for it. Programs ask with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from db import api_keys, users
from db.engine import Database, Rows, Transaction
from db.models import ApiKey, ApiKeySecret
from db.questions import Page, Window
from db.rows import ApiKeyRow
from domain.errors import BadCredential, InvalidInput, NotFound, RotationUnderWay, TooManyKeys
from domain.events import EventKind, RequestFacts, Subject, event
from domain.key_secrets import draw_prefix, draw_secret
from domain.key_terms import KeyTerms, judged_addresses, judged_end, judged_name, judged_scopes
from domain.ports import Ports
from domain.topics import tell_credentials
from domain.viewer import Viewer

MAXIMUM_GRACE_SECONDS = 30 * 24 * 60 * 60
KEPT = timedelta(days=1)
"""How long what has ended is kept: a process whose clock runs ahead removes nothing that is still good."""
USE_INTERVAL = timedelta(minutes=1)
"""How often the last use of a key is noted at most."""


class Ending(NamedTuple):
    """When a key ends; None: never."""

    at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Other terms for a key. None: as before."""

    api_key_id: UUID
    name: str | None = None
    scopes: Sequence[str] | None = None
    ending: Ending | None = None
    addresses: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new secret for a key; the one before is good for so many seconds more."""

    api_key_id: UUID
    grace_seconds: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A key with a secret that is told once. `former_ends_at` is when the secret before it ends, if there is one."""

    row: ApiKeyRow
    secret: str
    former_ends_at: datetime | None = None

    @property
    def id(self) -> UUID:
        """The key."""
        return self.row.id


async def pages(
    rows: Rows, viewer: Viewer, wanted: Sequence[tuple[UUID, Window]]
) -> dict[tuple[UUID, Window], Page[ApiKeyRow]]:
    """Windows of users' keys that are not revoked, the newest first: one statement for all of one window.

    Empty for a user whose account the viewer may not see.
    """
    nothing: Page[ApiKeyRow] = Page([], has_next=False, has_previous=False)
    found = dict.fromkeys(wanted, nothing)
    for window in {window for _, window in wanted}:
        seen = [user_id for user_id, own in wanted if own == window and viewer.sees_account_of(user_id)]
        owned = await api_keys.pages(rows, seen, window)
        found |= {(user_id, window): page for user_id, page in owned.items()}
    return found


async def counts(rows: Rows, viewer: Viewer, user_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many keys of users are not revoked, as far as the viewer may see their accounts."""
    return await api_keys.counts(rows, [user_id for user_id in user_ids if viewer.sees_account_of(user_id)])


async def create_api_key(tx: Transaction, ports: Ports, viewer: Viewer, terms: KeyTerms, facts: RequestFacts) -> Issued:
    """Make a key for the viewer. Its secret is in the answer and nowhere else.

    Raises NotSignedIn, NotForKeys, InvalidInput, TooManyKeys, and Forbidden for scopes beyond the viewer's own rights.
    """
    user_id, now = viewer.in_person(), ports.clock.now()
    key = ApiKey(
        user_id=user_id,
        name=judged_name(terms.name),
        token_prefix=draw_prefix(ports.randomness),
        scopes=judged_scopes(viewer, terms.scopes),
        addresses=judged_addresses(terms.addresses),
        created_at=now,
        expires_at=judged_end(terms.expires_at, now),
    )
    if not await users.hold_enabled(tx, user_id):
        raise BadCredential
    maximum = ports.key_policy.maximum_keys
    if (await api_keys.counts(tx, [user_id])).get(user_id, 0) >= maximum:
        raise TooManyKeys(message=f"You have {maximum} API keys already, as many as one may have.", maximum=maximum)
    await tx.add(key)
    row = _row(key)
    secret = await _add_secret(tx, ports, row)
    await tx.add(event(EventKind.API_KEY_CREATED, _about(row), facts, now))
    return Issued(row, secret)


async def own(rows: Rows, viewer: Viewer, api_key_id: UUID) -> ApiKeyRow | None:
    """A key of the viewer's that was made before: its secret was told then. Raises NotSignedIn and NotForKeys."""
    return await api_keys.own(rows, viewer.in_person(), api_key_id)


async def update_api_key(
    tx: Transaction, ports: Ports, viewer: Viewer, change: KeyChange, facts: RequestFacts
) -> ApiKeyRow:
    """Give a key other terms, from its next request on.

    Raises NotSignedIn, NotForKeys, NotFound, InvalidInput, and Forbidden for scopes beyond the viewer's own rights.
    """
    row, now = await _held(tx, viewer, change.api_key_id), ports.clock.now()
    if change.name is not None:
        row = row._replace(name=judged_name(change.name))
    if change.scopes is not None:
        row = row._replace(scopes=judged_scopes(viewer, change.scopes))
    if change.addresses is not None:
        row = row._replace(addresses=judged_addresses(change.addresses))
    if change.ending is not None:
        row = row._replace(expires_at=judged_end(change.ending.at, now))
    await api_keys.change(tx, row)
    await tx.add(event(EventKind.API_KEY_UPDATED, _about(row), facts, now))
    return row


async def rotate_api_key(
    tx: Transaction, ports: Ports, viewer: Viewer, rotation: Rotation, facts: RequestFacts
) -> Issued:
    """A new secret for a key, whose former one is good for a while longer, so that programs can be told the new one.

    Of many who rotate one key at once, one gives it a secret: the next would end the grace that the first has promised.
    Without grace a key is rotated at any time, and every secret before it ends. Raises NotSignedIn, NotForKeys,
    NotFound, InvalidInput unless the grace is between nothing and thirty days, and RotationUnderWay.
    """
    row, now = await _held(tx, viewer, rotation.api_key_id), ports.clock.now()
    if not 0 <= rotation.grace_seconds <= MAXIMUM_GRACE_SECONDS:
        raise InvalidInput(
            message=f"A former secret is good for 0 to {MAXIMUM_GRACE_SECONDS} seconds, not {rotation.grace_seconds}.",
            path=("graceSeconds",),
        )
    under_way = await api_keys.former_secret_ends_at(tx, row.id)
    if rotation.grace_seconds and under_way is not None and now < under_way:
        raise RotationUnderWay(retry_after_seconds=int((under_way - now).total_seconds()) + 1)
    former_ends_at = now + timedelta(seconds=rotation.grace_seconds)
    await api_keys.end_secrets(tx, row.id, former_ends_at)
    secret = await _add_secret(tx, ports, row)
    subject = _about(row, formerSecretExpiresAt=former_ends_at.isoformat())
    await tx.add(event(EventKind.API_KEY_ROTATED, subject, facts, now))
    return Issued(row, secret, former_ends_at)


async def revoke_api_key(
    tx: Transaction, ports: Ports, viewer: Viewer, api_key_id: UUID, facts: RequestFacts
) -> ApiKeyRow:
    """End a key for good, with its next request; the key as it was. Raises NotSignedIn, NotForKeys and NotFound."""
    row, now = await _held(tx, viewer, api_key_id), ports.clock.now()
    await api_keys.revoke(tx, row.id, now)
    await tx.add(event(EventKind.API_KEY_REVOKED, _about(row), facts, now))
    return row


async def note_uses(tx: Transaction, api_key_ids: Sequence[UUID], now: datetime) -> None:
    """Note that keys were used just now, each at most once a minute."""
    await api_keys.note_uses(tx, api_key_ids, now, USE_INTERVAL)


async def sweep(db: Database, now: datetime) -> None:
    """Remove keys that were revoked a while ago, and secrets that rotations have ended."""
    async with db.transaction() as tx:
        await api_keys.forget_ended(tx, now - KEPT)


async def _held(tx: Transaction, viewer: Viewer, api_key_id: UUID) -> ApiKeyRow:
    row = await api_keys.hold_own(tx, viewer.in_person(), api_key_id)
    if row is None:
        raise NotFound(message="There is no such API key.", path=("id",))
    tell_credentials(tx, row.user_id)  # held to be changed
    return row


async def _add_secret(tx: Transaction, ports: Ports, row: ApiKeyRow) -> str:
    secret = draw_secret(ports.randomness, row.token_prefix)
    await tx.add(ApiKeySecret(secret_hash=secret.hash, api_key_id=row.id, created_at=ports.clock.now()))
    return secret.text


def _row(key: ApiKey) -> ApiKeyRow:
    return ApiKeyRow(
        id=key.id,
        user_id=key.user_id,
        name=key.name,
        token_prefix=key.token_prefix,
        scopes=key.scopes,
        addresses=key.addresses,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=None,
    )


def _about(row: ApiKeyRow, **more: str) -> Subject:
    told = {
        "name": row.name,
        "prefix": row.token_prefix,
        "scopes": list(row.scopes),
        "addresses": list(row.addresses),
        "expiresAt": row.expires_at.isoformat() if row.expires_at else None,
    }
    return Subject(row.user_id, target_id=row.id, data=told | more)
