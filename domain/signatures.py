"""Signatures over strings, for URLs that carry their own permission."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Signer:
    """HMAC-SHA256 under one key, written as base64url without padding (43 characters).

    What was signed under an `older` key is good, too.
    """

    key: bytes
    older: tuple[bytes, ...] = ()

    def sign(self, *parts: str) -> str:
        """A signature over all parts; no other way to cut the same text into parts gives the same one."""
        return _signature(self.key, parts).decode()

    def verify(self, signature: str, *parts: str) -> bool:
        """Whether `sign` gave this signature for these parts. Takes the same time whatever differs."""
        given, keys = signature.encode(), (self.key, *self.older)
        return any(hmac.compare_digest(given, _signature(key, parts)) for key in keys)


def _signature(key: bytes, parts: tuple[str, ...]) -> bytes:
    message = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode() for part in parts))
    return urlsafe_b64encode(hmac.digest(key, message, sha256)).rstrip(b"=")
