"""One request and its answer as they pass: dressed on the way out, and counted both ways."""

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Final, TypeAlias

from starlette.types import Message, Receive, Scope, Send

from api.metrics import Metrics
from api.zero_copy import ZERO_COPY

UNROUTED: Final = "none"

Field: TypeAlias = tuple[bytes, bytes]


class Passage:
    """The way in and out of one request; holds nothing back. `end` is to be called when nothing more will pass.

    An answer gets the request's id, and those of `fields` that it does not set itself. A route is counted by its
    template, and what leads nowhere as one. `sent` counts the bytes of its body, `status` is None until it begins.
    """

    __slots__ = ("_began_at", "_fields", "_metrics", "_receive", "_scope", "_seconds", "_send", "sent", "status")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, metrics: Metrics, fields: Sequence[Field]
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._metrics = metrics
        self._fields = fields
        self._began_at = perf_counter()
        self._seconds: float | None = None
        self.status: int | None = None
        self.sent = 0

    async def receive(self) -> Message:
        """A message on its way in."""
        message = await self._receive()
        if body := message.get("body"):
            self._metrics.received(self._route(), len(body))
        return message

    async def send(self, message: Message) -> None:
        """A message on its way out."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status, self._seconds = message["status"], perf_counter() - self._began_at
            message = {**message, "headers": self._dressed(list(message.get("headers", ())))}
        elif kind == ZERO_COPY:
            message = {**message, "on_sent": partial(self._pass_on, message["on_sent"])}
        elif body := message.get("body"):
            self._count(len(body))
        await self._send(message)

    def end(self) -> float:
        """Count the request, and say how many seconds it took."""
        seconds = perf_counter() - self._began_at
        until_begun = seconds if self._seconds is None else self._seconds
        self._metrics.answered(self._scope["method"], self._route(), self.status, until_begun)
        return seconds

    def _dressed(self, fields: list[Field]) -> list[Field]:
        given = dict(fields)
        fields.append((b"x-request-id", self._scope["state"]["request_id"].encode()))
        fields += [field for field in self._fields if field[0] not in given]
        return fields

    def _pass_on(self, tell: Callable[[int], None], sent: int) -> None:
        self._count(sent)
        tell(sent)

    def _count(self, sent: int) -> None:
        self.sent += sent
        self._metrics.sent(self._route(), sent)

    def _route(self) -> str:
        # Known once the request has been routed, which is before anything of its body is asked for.
        route = self._scope.get("route")
        return UNROUTED if route is None else route.path
