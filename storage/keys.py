"""Keys of blobs: random, never made from a name, and the only thing that paths in a store are made of."""

import re
import secrets
from pathlib import Path

_KEY = re.compile(r"[0-9a-f]{32}")


def new_key() -> str:
    """A fresh key: 128 random bits in lower-case hex."""
    return secrets.token_hex(16)


def is_key(text: str) -> bool:
    """Whether the text is exactly what `new_key` makes."""
    return _KEY.fullmatch(text) is not None


def path_below(folder: Path, key: str) -> Path:
    """The place of a key, two levels below the folder: `ab/cd/abcd…`. Raises ValueError for anything but a key."""
    if not is_key(key):
        raise ValueError(f"not a key: {key!r}")
    return folder / key[:2] / key[2:4] / key
