"""Who asks, from where, and whether too much: for endpoints beside /graphql."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from api.credentials import Authenticator, address_of
from api.limits import Counting
from domain.events import RequestFacts
from domain.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Asking:
    """How it is found out who asks, and whether they ask too much."""

    authenticator: Authenticator
    counting: Counting

    async def viewer(self, scope: Scope) -> Viewer:
        """Whoever sent the request; it is counted as theirs. Raises BadCredential and RateLimited."""
        viewer = await self.authenticator.viewer_of(scope)
        await self.counting.request(scope, viewer)
        return viewer


def facts_of(scope: Scope) -> RequestFacts:
    """What is known of a request besides."""
    return RequestFacts(request_id_of(scope), address_of(scope), Headers(scope=scope).get("user-agent"))


def request_id_of(scope: Scope) -> str | None:
    """The id under which a request is logged, as `api.requests` has given it."""
    found: str | None = scope.get("state", {}).get("request_id")
    return found
