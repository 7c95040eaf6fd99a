"""Keys of blobs."""

import secrets


def new_key() -> str:
    """A fresh key: 128 random bits in hex."""
    return secrets.token_hex(16)
