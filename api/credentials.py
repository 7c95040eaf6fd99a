"""Who asks, from the head of a request and the address that it comes from. No cookie is ever read."""

from dataclasses import dataclass
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import Scope

from api.key_uses import KeyUses
from db.engine import Database
from domain.errors import BadCredential
from domain.key_holders import holder_of
from domain.key_secrets import is_marked
from domain.ports import Ports
from domain.sessions import viewer_of_token
from domain.viewer import NOBODY, Viewer


class Credential(NamedTuple):
    """What a request shows: an access token, or a secret of an API key, good or not."""

    text: str
    is_api_key: bool


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Finds the viewer of a request; one per process."""

    db: Database
    ports: Ports
    key_uses: KeyUses

    async def viewer_of(self, scope: Scope) -> Viewer:
        """The viewer whose credential the head carries; nobody without one.

        Raises BadCredential, never silently nobody, and ExpiredCredential when only an access token's time is over.
        """
        credential = credential_of(Headers(scope=scope))
        if credential is None:
            return NOBODY
        if not credential.is_api_key:
            return await viewer_of_token(self.db, self.ports.tokens, self.ports.clock, credential.text)
        holder = await holder_of(self.db, self.ports.clock, credential.text, address_of(scope))
        self.key_uses.note(holder)
        return holder.viewer


def address_of(scope: Scope) -> str | None:
    """The client's address, as `api.requests` has found it."""
    found: str | None = scope.get("state", {}).get("address")
    return found


def credential_of(headers: Headers) -> Credential | None:
    """The credential of a head: `Authorization: Bearer …` (RFC 6750), or an API key in `X-API-Key`.

    An empty one is none: Apollo's documented link sends it when nobody has signed in. Raises BadCredential when there
    is a second one, or one of another kind.
    """
    bearers, keys = (
        [value.strip() for value in headers.getlist(name) if value.strip()] for name in ("authorization", "x-api-key")
    )
    if len(bearers) + len(keys) > 1:
        raise BadCredential(message="The request carries two credentials.")
    if keys:
        return _api_key(keys[0])
    return _bearer(bearers[0]) if bearers else None


def _bearer(value: str) -> Credential:
    scheme, _, text = value.partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise BadCredential
    return Credential(text.strip(), is_marked(text.strip()))


def _api_key(text: str) -> Credential:
    if not is_marked(text):
        raise BadCredential(message="What stands in X-API-Key is no API key.")
    return Credential(text, is_api_key=True)
