"""`GET /metrics`: what is counted and measured, for whoever has the token, or reaches the port."""

import asyncio
from secrets import compare_digest
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from api.asking import request_id_of
from api.faults import Faults
from api.metrics import CONTENT_TYPE, Metrics
from api.parts import Parts
from api.problems import problem, problem_response
from api.requests import Requests
from api.samples import Samples
from api.settings import Settings
from domain.errors import BadCredential, NotSignedIn

PATH: Final = "/metrics"


class Scrapes:
    """The ASGI application behind the route. Without a token it answers everybody."""

    def __init__(self, metrics: Metrics, samples: Samples, token: str | None) -> None:
        self._metrics = metrics
        self._samples = samples
        self._token = token

    @classmethod
    def of(cls, settings: Settings, parts: Parts) -> "Scrapes":
        """What tells the metrics of these parts."""
        token = settings.metrics_token
        return cls(parts.metrics, parts.samples, token.get_secret_value() if token else None)

    def route(self) -> Route:
        """Where it is found."""
        return Route(PATH, self)

    def alone(self) -> ASGIApp:
        """An application that serves metrics alone, for a port of their own. What is asked there is not counted."""
        return Requests(Faults(Router([self.route()]), self._metrics), Metrics())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(scope)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["method"] not in {"GET", "HEAD"}:
            detail = "Metrics are read with GET or HEAD."
            response = problem(405, "METHOD_NOT_ALLOWED", detail, request_id_of(scope))
            response.headers["allow"] = "GET, HEAD"
            return response
        if self._token is not None and (refusal := _refusal(scope, self._token)):
            return problem_response(refusal, request_id_of(scope))
        sample = await self._samples.take()
        # In a thread: thousands of series take some milliseconds, in which the loop would serve nobody.
        text = await asyncio.to_thread(self._metrics.text, sample)
        return Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})


def _refusal(scope: Scope, token: str) -> NotSignedIn | BadCredential | None:
    given = Headers(scope=scope).get("authorization")
    if given is None:
        return NotSignedIn()
    scheme, _, credential = given.partition(" ")
    is_right = compare_digest(credential.strip().encode(), token.encode())
    return None if is_right and scheme.lower() == "bearer" else BadCredential()
