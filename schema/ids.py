"""Opaque ids: a readable prefix that says what is named, and the hex of a time-ordered UUID (RFC 9562, version 7)."""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import strawberry

from domain.errors import InvalidInput

DIGITS = 32
CANONICAL = re.compile(f"[0-9a-f]{{{DIGITS}}}")
MAXIMUM_CHARACTERS = 64
REMEMBERED = 4096
NOTHING = UUID(int=0)
"""An id that names nothing, for input that does not decode: it is then simply not found."""


class Prefix(StrEnum):
    """What an id names."""

    USER = "user"
    SESSION = "sess"
    API_KEY = "key"
    WORKSPACE = "wsp"
    FILE = "file"
    VERSION = "ver"
    UPLOAD = "upl"
    INVITATION = "inv"
    EVENT = "evt"
    JOB = "job"
    STORAGE_CHECK = "chk"
    ANALYTICS_EXPORT = "exp"


def encode(prefix: Prefix, value: UUID) -> strawberry.ID:
    """The id of a row, such as `file_0192f0c1d2e37a4b8c5d6e7f80912a3b`."""
    return strawberry.ID(f"{prefix}_{value.hex}")


def decode(prefix: Prefix, text: str) -> UUID:
    """The UUID inside an id of this kind, or NOTHING."""
    kind, _, digits = text.partition("_")
    return _uuid(digits) if kind == prefix else NOTHING


def decode_any(text: str) -> tuple[Prefix, UUID] | None:
    """What an id names and its UUID, or None when it is no id of ours."""
    kind, _, digits = text.partition("_")
    return (Prefix(kind), _uuid(digits)) if kind in set(Prefix) else None


def judge_lengths(ids: Sequence[str]) -> None:
    """Raise InvalidInput when one of the ids is longer than any of ours: answers repeat what they are about."""
    if any(len(given) > MAXIMUM_CHARACTERS for given in ids):
        raise InvalidInput(message=f"An id has at most {MAXIMUM_CHARACTERS} characters.", path=("ids",))


def _uuid(digits: str) -> UUID:
    return _remembered(digits) if len(digits) == DIGITS else NOTHING


# An id that is asked for is often asked for again, and its own class takes several times as long.
@lru_cache(maxsize=REMEMBERED)
def _remembered(digits: str) -> UUID:
    return UUID(digits) if CANONICAL.fullmatch(digits) else NOTHING
