"""Requests against their limits: judged before anything of them is read, and told in the head of every answer.

`RateLimit` and `RateLimit-Policy` follow draft-ietf-httpapi-ratelimit-headers, with one item per limit that the request
was counted for. What is counted, and who is refused, is for `domain.rates`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.rates import Rate
from domain.errors import RateLimited
from domain.events import RequestFacts
from domain.policy import Limit
from domain.ports import Ports
from domain.rates import Standing, count_cost, count_request, count_user_request
from domain.viewer import Viewer

EXEMPT = (["health"], ["metrics"])
"""What operators ask: a prober that is refused takes a service for dead that is only busy."""

Refuse = Callable[[RateLimited, Scope], Response]


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """ASGI middleware: counts each request for its address, and tells how whoever sent it stands.

    `refuse` answers those that are one too many. What is counted later, through `Counting`, is told as well.
    """

    app: ASGIApp
    ports: Ports
    facts_of: Callable[[Scope], RequestFacts]
    refuse: Refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] not in {"http", "websocket"} or not self.ports.rates or _is_exempt(scope["path"]):
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        try:
            await _told(scope, count_request(self.ports, self.facts_of(scope)))
        except RateLimited as refusal:
            await self.refuse(refusal, scope)(scope, receive, answer)
        else:
            await self.app(scope, receive, answer)


@dataclass(frozen=True, slots=True)
class Counting:
    """What endpoints count once they know more of a request than its address. Everything raises RateLimited."""

    ports: Ports
    facts_of: Callable[[Scope], RequestFacts]

    async def request(self, scope: Scope, viewer: Viewer) -> None:
        """The request is this viewer's."""
        if self.ports.rates:
            await _told(scope, count_user_request(self.ports, viewer))

    async def cost(self, scope: Scope, viewer: Viewer, cost: int) -> None:
        """The request's operation costs so much."""
        await _told(scope, count_cost(self.ports, viewer, self.facts_of(scope), cost))


class _Answer:
    """The way out of one request: adds to the head what was counted until then."""

    __slots__ = ("_scope", "_send")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and (standings := _standings(self._scope)):
            message = {**message, "headers": [*message.get("headers", ()), *_fields(standings)]}
        await self._send(message)


async def _told(scope: Scope, counting: Awaitable[Sequence[Standing]]) -> None:
    try:
        _standings(scope).extend(await counting)
    except RateLimited as refusal:
        rate = Rate(refusal.limit, refusal.window_seconds)
        _standings(scope).append(Standing(Limit(refusal.policy), rate, 0, refusal.retry_after_seconds))
        raise


def _standings(scope: Scope) -> list[Standing]:
    standings: list[Standing] = scope.setdefault("state", {}).setdefault("standings", [])
    return standings


def _fields(standings: Sequence[Standing]) -> list[tuple[bytes, bytes]]:
    policies = (f'"{each.limit}";q={each.rate.amount};w={each.rate.seconds}' for each in standings)
    states = (f'"{each.limit}";r={each.remaining};t={each.reset_seconds}' for each in standings)
    return [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", ", ".join(states).encode())]


def _is_exempt(path: str) -> bool:
    return path.split("/", 2)[1:2] in EXEMPT
