"""Access tokens: short-lived JSON Web Tokens that say who signed in. The only place that knows PyJWT."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import jwt
from uuid_utils.compat import uuid7

from domain.errors import BadCredential, ExpiredCredential

ALGORITHM = "HS256"
AUDIENCE = "cairn"
REQUIRED_CLAIMS = ["iss", "aud", "sub", "sid", "iat", "exp", "jti"]
TOKEN_TYPE = "Bearer"  # noqa: S105 - the scheme's name
MAXIMUM_CHARACTERS = 4096
REMEMBERED = 4096


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
    """Signs and verifies access tokens: HMAC-SHA256, algorithm pinned, RFC 7519 claims all required."""

    key: bytes
    issuer: str
    lifetime: timedelta

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
        return AccessToken(jwt.encode(claims, self.key, ALGORITHM), expires_at)

    def verify(self, text: str, now: datetime) -> Holder:
        """Whose token it is. Raises BadCredential, or ExpiredCredential when only its time is over."""
        if len(text) > MAXIMUM_CHARACTERS:
            raise BadCredential
        holder, expires_at, issued_at = _claims_of(text, self.key, self.issuer)
        if issued_at > now.timestamp() + 60:
            raise BadCredential
        if now.timestamp() >= expires_at:
            raise ExpiredCredential
        return holder


# Nothing in it depends on the time, so that a client's next request need not pay for the signature again.
@lru_cache(maxsize=REMEMBERED)
def _claims_of(text: str, key: bytes, issuer: str) -> tuple[Holder, int, int]:
    try:
        claims = jwt.decode(
            text,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=issuer,
            options={"require": REQUIRED_CLAIMS, "verify_exp": False, "verify_iat": False},
        )
        return Holder(UUID(claims["sub"]), UUID(claims["sid"])), int(claims["exp"]), int(claims["iat"])
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
        raise BadCredential from error
