"""Who asks, from the head of a request alone. No cookie is ever read."""

from starlette.datastructures import Headers

from db.engine import Database
from domain.errors import BadCredential
from domain.ports import Ports
from domain.sessions import viewer_of_token
from domain.viewer import NOBODY, Viewer


async def viewer_of(db: Database, ports: Ports, headers: Headers) -> Viewer:
    """The viewer whose access token the head carries; nobody without one. Source: RFC 6750.

    An empty `Authorization` is none: Apollo's documented link sends it when nobody has signed in. Raises BadCredential,
    never silently nobody, and ExpiredCredential when only the token's time is over.
    """
    token = bearer_token(headers)
    return NOBODY if token is None else await viewer_of_token(db, ports.tokens, ports.clock, token)


def bearer_token(headers: Headers) -> str | None:
    """The access token of a head. Raises BadCredential when there is another or a second credential."""
    credentials = [value for value in headers.getlist("authorization") if value.strip()]
    if headers.get("x-api-key") or len(credentials) > 1:
        raise BadCredential
    if not credentials:
        return None
    scheme, _, token = credentials[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise BadCredential
    return token.strip()
