"""Keys of blobs: random, never made from a name, and the only thing that paths in a store are made of."""

import re
import secrets

_KEY = re.compile(r"[0-9a-f]{32}")


def new_key() -> str:
    """A fresh key: 128 random bits in lower-case hex."""
    return secrets.token_hex(16)


def is_key(text: str) -> bool:
    """Whether the text is exactly what `new_key` makes."""
    return _KEY.fullmatch(text) is not None


def require_key(text: str) -> None:
    """Do nothing for a key. Raises ValueError for anything else."""
    if not is_key(text):
        raise ValueError(f"not a key: {text!r}")


def branch_of(key: str) -> str:
    """The one of 256 folders that a key belongs to. Raises ValueError for anything but a key.

    So few that a store soon has them all: hundreds of thousands of names in a folder are no burden to a file system,
    while a new folder costs a blob as much as its bytes.
    """
    require_key(key)
    return key[:2]


def path_of(key: str) -> str:
    """The path of a key below a folder that has branches: `ab/abcd…`. Raises ValueError for anything but a key."""
    return f"{branch_of(key)}/{key}"
