"""Keys of blobs: random, never made from a name, and the only thing that paths in a store are made of."""

import re
import secrets

_KEY = re.compile(r"[0-9a-f]{32}")

# The folders that keys are spread over: so few that all are made, and made to last, before the first blob comes.
# Hundreds of thousands of names in a folder are no burden to a file system; a new folder costs as much as the blob.
BRANCHES = tuple(f"{number:02x}" for number in range(256))


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


def path_of(key: str) -> str:
    """The path of a key below a folder that has `BRANCHES`: `ab/abcd…`. Raises ValueError for anything but a key."""
    require_key(key)
    return f"{key[:2]}/{key}"
