"""What every answer has, as one pure ASGI middleware: an id, security headers and a line in the log.

It goes around the whole application, so that answers to faults have them too. Downstream, `request.state.request_id`
and `request.state.address` say which request this is and whose: the client's address behind trusted proxies.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from api.addresses import client_address
from api.logs import get_logger, request_id
from api.zero_copy import ZERO_COPY

MAXIMUM_LOGGED_PATH = 512
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}", re.ASCII)
_log = get_logger(__name__)


class Requests:
    """Gives each request an id, each answer the security headers it has not set itself, and the log a line."""

    def __init__(
        self, app: ASGIApp, *, trusted_proxies: Sequence[IPv4Network | IPv6Network] = (), is_https: bool = False
    ) -> None:
        self._app = app
        self._trusted = tuple(trusted_proxies)
        self._headers = (*SECURITY_HEADERS, STRICT_TRANSPORT) if is_https else SECURITY_HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Identify the request; then, for HTTP, dress and log its answer."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        identifier = _identifier(scope["headers"])
        # Not reset afterwards: the server runs each request in a context of its own, and logs a fault there.
        request_id.set(identifier)
        state = scope.setdefault("state", {})
        state["request_id"] = identifier
        state["address"] = address = self._address(scope)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, (b"x-request-id", identifier.encode()), self._headers)
        started_at = perf_counter()
        try:
            await self._app(scope, receive, answer)
        finally:
            _tell(scope, address, answer, perf_counter() - started_at)

    def _address(self, scope: Scope) -> str | None:
        client = scope.get("client")
        peer = client[0] if client else None
        if not self._trusted:
            return peer
        forwarded = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
        return client_address(peer, forwarded, self._trusted)


class _Answer:
    """The way out of one request: adds headers, counts bytes, holds nothing back."""

    __slots__ = ("_headers", "_identity", "_send", "sent", "status")

    def __init__(self, send: Send, identity: tuple[bytes, bytes], headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._identity = identity
        self._headers = headers
        self.status: int | None = None
        self.sent = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        elif message["type"] == ZERO_COPY:
            self.sent += message["count"]
        elif message["type"] == "http.response.start":
            self.status = message["status"]
            own = list(message.get("headers", ()))
            names = {name for name, _ in own}
            own.append(self._identity)
            own.extend(header for header in self._headers if header[0] not in names)
            message = {**message, "headers": own}
        await self._send(message)


def _identifier(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _SANE_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return uuid7().hex


def _tell(scope: Scope, address: str | None, answer: _Answer, seconds: float) -> None:
    path = scope.get("raw_path") or scope["path"].encode("utf-8", "backslashreplace")
    # Probes come every few seconds and say nothing; a status is missing where the client left before the answer.
    tell = _log.warning if (answer.status or 0) >= 500 else _log.debug if path.startswith(b"/health") else _log.info  # noqa: PLR2004
    tell(
        "request",
        method=scope["method"],
        path=path[:MAXIMUM_LOGGED_PATH].partition(b"?")[0].decode("ascii", "backslashreplace"),
        status=answer.status,
        duration_ms=round(seconds * 1000, 2),
        bytes=answer.sent,
        address=address,
    )
