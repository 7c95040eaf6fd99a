"""Seals: secrets that have to be read again, kept encrypted under keys that the database does not know."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from os import urandom

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.ports import Unsealed

NONCE_BYTES = 12


class UnknownSeal(Exception):  # noqa: N818 - a fact, named as such
    """The key of a seal is not among those that the service has: an old secret was taken away too early."""


class AesSealer:
    """AES-256-GCM under the first of its keys; opens what any of them has sealed.

    A sealed text is the key's id, a dot, and nonce and ciphertext in base64url. The owner is authenticated with it, so
    that what is sealed for one opens for no other.
    """

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = {_id_of(key): AESGCM(key) for key in keys}
        self._newest = _id_of(keys[0])

    def seal(self, secret: bytes, owner: bytes) -> str:
        """The secret, readable for this service alone."""
        nonce = urandom(NONCE_BYTES)
        ciphertext = self._keys[self._newest].encrypt(nonce, secret, owner)
        return f"{self._newest}.{urlsafe_b64encode(nonce + ciphertext).decode()}"

    def unseal(self, sealed: str, owner: bytes) -> Unsealed:
        """What was sealed for this owner. Raises UnknownSeal, and InvalidTag for what was sealed for another."""
        key_id, _, body = sealed.partition(".")
        if key_id not in self._keys:
            raise UnknownSeal("A secret in the database was sealed under a key that SECRET_KEY does not list.")
        raw = urlsafe_b64decode(body)
        secret = self._keys[key_id].decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], owner)
        return Unsealed(secret, is_outdated=key_id != self._newest)


def _id_of(key: bytes) -> str:
    return hmac.digest(key, b"key id", sha256).hex()[:16]
