"""What every request and every answer has, as one pure ASGI middleware: an id, an address, security headers, a record.

It goes around the whole application, so that answers to faults have them too. Downstream, `request.state.request_id`
and `request.state.address` say which request this is and whose: the client's address behind trusted proxies.
"""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uuid_utils import uuid7

from api.addresses import client_address
from api.logs import get_logger, request_id
from api.metrics import Metrics
from api.traffic import Passage

MAXIMUM_LOGGED_PATH: Final = 512
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}", re.ASCII)


class Requests:
    """Gives each request an id, and has its passage dressed, counted and logged. Made once logs are configured."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        *,
        trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
        is_https: bool = False,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._trusted = tuple(trusted_proxies)
        self._log = get_logger(__name__).bind()  # once: for each line it would cost as much as half of it
        self._headers = (*SECURITY_HEADERS, STRICT_TRANSPORT) if is_https else SECURITY_HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Identify the request; then, for HTTP, see it and its answer through."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        identifier = _identifier(scope["headers"])
        # Not reset afterwards: the server runs each request in a context of its own, and logs a fault there.
        request_id.set(identifier)
        state = scope.setdefault("state", {})
        state["request_id"] = identifier
        state["address"] = self._address(scope)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        passage = Passage(scope, receive, send, metrics=self._metrics, fields=self._headers)
        try:
            await self._app(scope, passage.receive, passage.send)
        finally:
            self._tell(scope, passage, passage.end())

    def _address(self, scope: Scope) -> str | None:
        client = scope.get("client")
        peer = client[0] if client else None
        if not self._trusted:
            return peer
        forwarded = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
        return client_address(peer, forwarded, self._trusted)

    def _tell(self, scope: Scope, passage: Passage, seconds: float) -> None:
        status = passage.status
        path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "backslashreplace")
        # Probes come every few seconds and say nothing; a status is missing where the client left before the answer.
        is_fault = status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR
        tell = self._log.warning if is_fault else self._log.debug if path.startswith(b"/health") else self._log.info
        tell(
            "request",
            method=scope["method"],
            path=path[:MAXIMUM_LOGGED_PATH].partition(b"?")[0].decode("ascii", "backslashreplace"),
            status=status,
            duration_ms=round(seconds * 1000, 2),
            bytes=passage.sent,
            address=scope["state"]["address"],
        )


def _identifier(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _SANE_ID.fullmatch(given[0]):
        return given[0].decode("ascii")
    return uuid7().hex
