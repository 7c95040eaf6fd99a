"""Who asks, from the head of a request and the address that it comes from. No cookie is ever read."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import Scope

from api.bodies import MAXIMUM_URL_PARAMETERS
from api.key_uses import KeyUses
from api.negotiation import AnswerType, answer_type
from db.engine import Database
from domain.errors import BadCredential
from domain.key_holders import holder_of
from domain.key_secrets import is_marked
from domain.ports import Ports
from domain.sessions import viewer_of_token
from domain.stream_tickets import redeem, viewer_of_pass
from domain.viewer import NOBODY, Viewer

TWO_CREDENTIALS = "The request carries two credentials."


class Credential(NamedTuple):
    """What a request shows: an access token, or a secret of an API key, good or not."""

    text: str
    is_api_key: bool


class Standing(NamedTuple):
    """Whoever asks, and how it is found out later whether that is still so: `look` raises BadCredential."""

    viewer: Viewer
    look: Callable[[], Awaitable[Viewer]]


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
        return await self.viewer_by(credential_of(scope["headers"]), address_of(scope))

    async def viewer_by(self, credential: Credential | None, address: str | None) -> Viewer:
        """The viewer whose credential this is, presented from this address. Raises what `viewer_of` raises."""
        if credential is None:
            return NOBODY
        if not credential.is_api_key:
            return await viewer_of_token(self.db, self.ports.tokens, self.ports.clock, credential.text)
        holder = await holder_of(self.db, self.ports.clock, credential.text, address)
        self.key_uses.note(holder)
        return holder.viewer

    async def standing_of(self, scope: Scope) -> Standing:
        """Whoever sent the request, by its head, or by a ticket in the URL of an event stream, which is used up by it.

        Raises what `viewer_of` raises.
        """
        ticket = ticket_in(scope)
        if ticket is None:
            return await _standing(partial(self.viewer_of, scope))
        if credential_of(scope["headers"]) is not None:
            raise BadCredential(message=TWO_CREDENTIALS)
        if answer_type(Headers(scope=scope).get("accept")) is not AnswerType.STREAM:
            raise BadCredential(message="A ticket is for event streams: accept nothing else.")
        stream_pass = await redeem(self.db, self.ports, ticket)
        return await _standing(partial(viewer_of_pass, self.db, self.ports, stream_pass))

    async def standing_by(self, credential: Credential | None, scope: Scope) -> Standing:
        """Whoever presents a credential by this connection. Raises what `viewer_of` raises."""
        return await _standing(partial(self.viewer_by, credential, address_of(scope)))


def address_of(scope: Scope) -> str | None:
    """The client's address, as `api.requests` has found it."""
    found: str | None = scope.get("state", {}).get("address")
    return found


async def _nobody() -> Viewer:
    return NOBODY


async def _standing(look: Callable[[], Awaitable[Viewer]]) -> Standing:
    return Standing(await look(), look)


UNKNOWN = Standing(NOBODY, _nobody)
"""Whoever has shown nothing, or nothing that is still good."""


def ticket_in(scope: Scope) -> str | None:
    """The ticket in the URL of a GET, if there is one."""
    if scope["method"] != "GET":
        return None
    try:
        given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=MAXIMUM_URL_PARAMETERS)
    except ValueError:
        return None  # too many, which is refused where they are read
    return next(iter(given.get("ticket", ())), None)


def credential_of(fields: Iterable[tuple[bytes, bytes]]) -> Credential | None:
    """The credential in the fields of a head: `Authorization: Bearer …` (RFC 6750), or an API key in `X-API-Key`.

    An empty one is none: Apollo's documented link sends it when nobody has signed in. Raises BadCredential when there
    is a second one, or one of another kind.
    """
    found = [
        (make, text)
        for name, value in fields
        if (make := _CREDENTIALS.get(name)) and (text := value.decode("latin-1").strip())
    ]
    if len(found) > 1:
        raise BadCredential(message=TWO_CREDENTIALS)
    return found[0][0](found[0][1]) if found else None


def _bearer(value: str) -> Credential:
    scheme, _, rest = value.partition(" ")
    text = rest.strip()
    if scheme.lower() != "bearer" or not text:
        raise BadCredential
    return Credential(text, is_marked(text))


def _api_key(text: str) -> Credential:
    if not is_marked(text):
        raise BadCredential(message="What stands in X-API-Key is no API key.")
    return Credential(text, is_api_key=True)


_CREDENTIALS: dict[bytes, Callable[[str], Credential]] = {b"authorization": _bearer, b"x-api-key": _api_key}
