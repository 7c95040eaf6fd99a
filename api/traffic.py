"""Requests and their bytes, counted as they pass: one pure ASGI middleware around everything else."""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.zero_copy import ZERO_COPY

UNROUTED: Final = "none"


class Traffic:
    """Counts HTTP. A route is counted by its template, and what leads nowhere as one."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(self._metrics, scope, receive, send)
        try:
            await self._app(scope, passage.receive, passage.send)
        finally:
            passage.end()


class _Passage:
    __slots__ = ("_began_at", "_metrics", "_receive", "_scope", "_seconds", "_send", "_status")

    def __init__(self, metrics: Metrics, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics = metrics
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began_at = perf_counter()
        self._seconds: float | None = None
        self._status: int | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if body := message.get("body"):
            self._metrics.received(self._route(), len(body))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._seconds = message["status"], perf_counter() - self._began_at
        elif message["type"] == ZERO_COPY:
            message = {**message, "on_sent": partial(self._count, message["on_sent"])}
        elif body := message.get("body"):
            self._metrics.sent(self._route(), len(body))
        await self._send(message)

    def end(self) -> None:
        seconds = perf_counter() - self._began_at if self._seconds is None else self._seconds
        self._metrics.answered(self._scope["method"], self._route(), self._status, seconds)

    def _count(self, tell: Callable[[int], None], sent: int) -> None:
        self._metrics.sent(self._route(), sent)
        tell(sent)

    def _route(self) -> str:
        # Known once the request has been routed, which is before anything of its body is asked for.
        route = self._scope.get("route")
        return UNROUTED if route is None else route.path
