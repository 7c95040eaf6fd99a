"""The secrets of API keys: made, recognised, and kept as hashes.

`cairn_`, eight characters that people know the key by, and 256 random bits with a checksum: so that whoever looks for
lost secrets finds them, a mistyped one is told without a look into the database, and nobody takes one for an access
token. Only hashes are kept: SHA-256, since there is nothing that could be guessed.
"""

import re
from base64 import b32encode, urlsafe_b64encode
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from domain.ports import Randomness

MARK = "cairn_"
PREFIX_BYTES = 5
SECRET_BYTES = 32
_CHECKSUM_CHARACTERS = 6
_SECRET = re.compile(r"cairn_[a-z2-7]{8}_[A-Za-z0-9_-]{49}")


class KeySecret(NamedTuple):
    """A secret as it is told once, and what is kept of it."""

    text: str
    hash: str


def is_marked(credential: str) -> bool:
    """Whether a credential says that it is an API key, good or not."""
    return credential.startswith(MARK)


def hash_of(secret: str) -> str | None:
    """What is kept of a secret; None for text that is none, which costs no hash."""
    if not _SECRET.fullmatch(secret) or secret[-_CHECKSUM_CHARACTERS:] != _checksum(secret[:-_CHECKSUM_CHARACTERS]):
        return None
    return _hash(secret)


def draw_prefix(randomness: Randomness) -> str:
    """How all secrets of a new key will begin."""
    return MARK + b32encode(randomness.draw(PREFIX_BYTES)).decode().lower()


def draw_secret(randomness: Randomness, token_prefix: str) -> KeySecret:
    """A new secret of the key with this prefix."""
    unchecked = f"{token_prefix}_{_base64url(randomness.draw(SECRET_BYTES))}"
    text = unchecked + _checksum(unchecked)
    return KeySecret(text, _hash(text))


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _checksum(text: str) -> str:
    return _base64url(crc32(text.encode()).to_bytes(4, "big"))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
