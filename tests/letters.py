"""What a mail that the service sent says, as its reader takes it."""

import re

TOKEN = re.compile(r"^[A-Za-z0-9_-]{43}$", re.MULTILINE)


def token_in(text: str) -> str:
    """The token that a mail shows to be pasted."""
    [token] = TOKEN.findall(text.replace("\r\n", "\n"))
    return str(token)
