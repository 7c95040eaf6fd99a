"""The end of requests that met a database that is out of order."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from db.outages import is_outage


@dataclass(frozen=True, slots=True)
class Outages:
    """ASGI middleware around an application that has answered such a request, logged the fault, and raises it anew.

    The server would log it a second time, with its traceback. An answer that had begun then ends too early all the
    same: the server sees that for itself.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            await self.app(scope, receive, send)
        except Exception as fault:
            if scope["type"] != "http" or not is_outage(fault):
                raise
