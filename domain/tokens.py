"""Access tokens: short-lived JSON Web Tokens that say who signed in, and the keys they are signed with.

The only place that knows PyJWT. The `kid` in a token's head names the key that it is to be verified with, and each key
is good for one algorithm alone: what the head says of its algorithm chooses nothing.
"""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import jwt
from jwt.algorithms import OKPAlgorithm
from uuid_utils.compat import uuid7

from domain.errors import BadCredential, ExpiredCredential

AUDIENCE = "cairn"
REQUIRED_CLAIMS = ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]
TOKEN_TYPE = "Bearer"  # noqa: S105 - the scheme's name
MAXIMUM_CHARACTERS = 4096
REMEMBERED = 4096
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class TokenKey:
    """A key with its one algorithm. `id` names it in tokens and tells nothing of it.

    `public` is the half that others may have, as a JSON Web Key (RFC 7517, RFC 8037); None for a shared secret.
    """

    id: str
    key: jwt.PyJWK
    public: Mapping[str, str] | None = None


def shared_key(secret: bytes) -> TokenKey:
    """A key for HMAC-SHA256, which whoever verifies must have, too."""
    key_id = hmac.digest(secret, b"key id", sha256).hex()[:16]
    return TokenKey(key_id, jwt.PyJWK({"kty": "oct", "k": _base64url(secret)}, "HS256"))


def signing_keys(pem: str) -> list[TokenKey]:
    """The Ed25519 private keys of a text in PEM, in order, named by their RFC 7638 thumbprints.

    Raises ValueError unless there is one at least, and nothing else.
    """
    blocks = _PEM.findall(pem)
    if not blocks or _PEM.sub("", pem).strip():
        raise ValueError("should hold an Ed25519 private key in PEM, and nothing else")
    return [_signing_key(block) for block in blocks]


class Holder(NamedTuple):
    """Whose access token it is: a user's, who is signed in by a session."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token as it is handed out."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Signs access tokens with the first of its keys and verifies them with any. RFC 7519, claims all required."""

    keys: tuple[TokenKey, ...]
    issuer: str
    lifetime: timedelta

    @property
    def public_keys(self) -> list[Mapping[str, str]]:
        """What others verify tokens with, as JSON Web Keys; empty when only shared secrets are there."""
        return [key.public for key in self.keys if key.public]

    def issue(self, holder: Holder, now: datetime, session_ends_at: datetime) -> AccessToken:
        """A token that is valid from now for the configured lifetime, and never longer than its session lasts.

        So a token whose time is not over belongs to a session whose time is not over either.
        """
        expires_at = min(now + self.lifetime, session_ends_at).replace(microsecond=0)
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": holder.user_id.hex,
            "sid": holder.session_id.hex,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": uuid7().hex,
        }
        signing = self.keys[0]
        return AccessToken(jwt.encode(claims, signing.key, headers={"kid": signing.id}), expires_at)

    def verify(self, text: str, now: datetime) -> Holder:
        """Whose token it is. Raises BadCredential, or ExpiredCredential when only its time is over."""
        if len(text) > MAXIMUM_CHARACTERS:
            raise BadCredential
        holder, expires_at, issued_at = _claims_of(text, self.keys, self.issuer)
        seconds = now.timestamp()
        if issued_at > seconds + 60:
            raise BadCredential
        if seconds >= expires_at:
            raise ExpiredCredential
        return holder


# Nothing in it depends on the time, so that a client's next request need not pay for the signature again.
@lru_cache(maxsize=REMEMBERED)
def _claims_of(text: str, keys: tuple[TokenKey, ...], issuer: str) -> tuple[Holder, int, int]:
    try:
        key = _named(jwt.get_unverified_header(text).get("kid"), keys)
        claims = jwt.decode(
            text,
            key.key,
            algorithms=[key.key.algorithm_name],
            audience=AUDIENCE,
            issuer=issuer,
            options={"require": REQUIRED_CLAIMS, "verify_exp": False, "verify_iat": False},
        )
        return Holder(UUID(claims["sub"]), UUID(claims["sid"])), int(claims["exp"]), int(claims["iat"])
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise BadCredential from error


def _named(key_id: object, keys: tuple[TokenKey, ...]) -> TokenKey:
    for key in keys:
        if key.id == key_id:
            return key
    raise BadCredential


def _signing_key(block: str) -> TokenKey:
    try:
        private = OKPAlgorithm.to_jwk(OKPAlgorithm().prepare_key(block), as_dict=True)
    except (jwt.InvalidKeyError, ValueError, TypeError) as error:
        raise ValueError("should hold an Ed25519 private key in PEM, and nothing else") from error
    if private["crv"] != "Ed25519" or "d" not in private:
        raise ValueError("should hold Ed25519 private keys only")
    public = {name: private[name] for name in ("crv", "kty", "x")}
    key_id = _base64url(sha256(json.dumps(public, separators=(",", ":")).encode()).digest())
    shown = {**public, "kid": key_id, "alg": "EdDSA", "use": "sig"}
    return TokenKey(key_id, jwt.PyJWK(private, "EdDSA"), shown)


def _base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
