"""Codes of an authenticator app: RFC 6238 as every such app takes it, with SHA-1, six digits and thirty seconds."""

import hmac
import re
from base64 import b32encode
from datetime import datetime
from urllib.parse import quote, urlencode

SECRET_BYTES = 20
DIGITS = 6
STEP_SECONDS = 30
DRIFT_STEPS = 1
"""How many steps the clock of a phone may be off, either way."""
_CODE = re.compile(r"[0-9]{6}", re.ASCII)


def is_code(text: str) -> bool:
    """Whether a text has the form of a code."""
    return _CODE.fullmatch(text) is not None


def code_at(secret: bytes, step: int) -> str:
    """The code of one time step (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(secret: bytes, code: str, now: datetime) -> int | None:
    """The time step that a code belongs to, of those that are near enough; None for a wrong code."""
    current = int(now.timestamp()) // STEP_SECONDS
    near = range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1)
    fitting = [step for step in near if hmac.compare_digest(code_at(secret, step), code)]
    return fitting[-1] if fitting else None


def written(secret: bytes) -> str:
    """A secret as people type it: base32."""
    return b32encode(secret).decode()


def otpauth_uri(secret: bytes, issuer: str, account: str) -> str:
    """What an authenticator app reads from a QR code (the Key URI format that they share)."""
    values = {
        "secret": written(secret),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP_SECONDS,
    }
    return f"otpauth://totp/{quote(f'{issuer}:{account}', safe=':')}?{urlencode(values, quote_via=quote)}"
