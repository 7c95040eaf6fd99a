"""Requests that are sent again: what one has made under a key of its client's choice, no other makes once more.

The key is kept in the transaction of what it made, so that there is one if and only if there is the other. A request
that is refused makes nothing, and leaves its key free.
"""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple, TypeVar
from uuid import UUID

from db import idempotency_keys
from db.engine import Database, Rows, Transaction
from db.models import IdempotencyKey
from db.violations import Declined, Duplicate
from domain.errors import IdempotencyKeyReused, InvalidInput, NotFound, Refusal

LIFETIME = timedelta(days=1)
MAXIMUM_CHARACTERS = 255
PATH = ("idempotencyKey",)
_KEY = re.compile(rf"[!-~]{{1,{MAXIMUM_CHARACTERS}}}")

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Asked:
    """A user's request under a key; `digest` is the same for requests that say the same."""

    user_id: UUID
    key: str
    digest: str


class Result(NamedTuple):
    """What a request made, and under which key, if it had one."""

    asked: Asked | None
    target_id: UUID


class KeyTaken(Declined):
    """Another request has made something under the key meanwhile. `refusal` is for who wanted something else."""

    def __init__(self) -> None:
        self.refusal = key_reused()
        super().__init__(self.refusal.message)


def asked_by(user_id: UUID, key: str | None, verb: str, *said: object) -> Asked | None:
    """A request to make something under a key, None without one. `said` is all that its input says.

    Raises InvalidInput unless the key is 1 to 255 visible characters of ASCII.
    """
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        sentence = f"An idempotency key is 1 to {MAXIMUM_CHARACTERS} visible characters of ASCII, such as a UUID."
        raise InvalidInput(message=sentence, path=PATH)
    return Asked(user_id, key, sha256(json.dumps([verb, *said], default=str).encode()).hexdigest())


async def recall(rows: Rows, asked: Asked, now: datetime) -> UUID | None:
    """What was made under the key within a day, by the same request. Raises IdempotencyKeyReused for another one's."""
    found = await idempotency_keys.find(rows, asked.user_id, asked.key, now - LIFETIME)
    if found is None:
        return None
    if found.request_digest != asked.digest:
        raise key_reused()
    return found.target_id


async def remember(tx: Transaction, results: Sequence[Result], now: datetime) -> None:
    """Keep what requests made under their keys, after everything else that the transaction does. Raises KeyTaken."""
    made = [
        IdempotencyKey(
            user_id=asked.user_id,
            key=asked.key,
            request_digest=asked.digest,
            target_id=target_id,
            created_at=now,
        )
        for asked, target_id in results
        if asked is not None
    ]
    if not made:
        return
    try:
        await idempotency_keys.add(tx, made, now - LIFETIME)
    except Duplicate as duplicate:
        raise KeyTaken from duplicate


async def make_once(
    db: Database,
    asked: tuple[Asked | None, datetime],
    make: Callable[[], Awaitable[Made]],
    again: Callable[[Rows, UUID], Awaitable[Made | None]],
) -> Made:
    """What `make` makes and remembers, or else what was made before, as `again` finds it by its id.

    Of several at once that ask the same, one makes it, and all are given it. Raises what `make` raises,
    IdempotencyKeyReused, and NotFound when what was made is gone.
    """
    request, now = asked
    if request is None:
        return await make()
    found = await _made_before(db, request, now, again)
    if found is not None:
        return found
    try:
        return await make()
    except (Refusal, KeyTaken):
        # What it was refused for may be what the same request has done meanwhile.
        found = await _made_before(db, request, now, again)
        if found is None:
            raise
        return found


async def sweep(db: Database, now: datetime) -> None:
    """Forget what was made under keys more than a day ago."""
    async with db.transaction() as tx:
        await idempotency_keys.forget(tx, now - LIFETIME)


def key_reused() -> IdempotencyKeyReused:
    """The key was used for something else."""
    return IdempotencyKeyReused(message="Another request was sent under this idempotency key.", path=PATH)


def gone() -> NotFound:
    """What was made under the key is not there any more, or not the viewer's to see any more."""
    return NotFound(message="What was made under this idempotency key is gone.", path=PATH)


async def _made_before(
    db: Database, asked: Asked, now: datetime, again: Callable[[Rows, UUID], Awaitable[Made | None]]
) -> Made | None:
    async with db.reading() as rows:
        target_id = await recall(rows, asked, now)
        found = None if target_id is None else await again(rows, target_id)
    if target_id is not None and found is None:
        raise gone()
    return found
