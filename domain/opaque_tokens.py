"""Opaque tokens: 256 random bits that a client keeps, and of which the service keeps a hash alone.

SHA-256 is enough for them: what nobody can guess needs no slow hash.
"""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from domain.ports import Randomness

TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class OpaqueToken:
    """A new token: `text` is for the client, `hash` is what is kept."""

    text: str
    hash: str


def draw_token(randomness: Randomness) -> OpaqueToken:
    """A token that was never given out before: base64url, 43 characters."""
    text = urlsafe_b64encode(randomness.draw(TOKEN_BYTES)).rstrip(b"=").decode()
    return OpaqueToken(text, sha256(text.encode()).hexdigest())


def hash_of(text: str) -> str | None:
    """What is kept of a token that a client presents; None for text that can be none."""
    return sha256(text.encode()).hexdigest() if _TOKEN.fullmatch(text) else None
