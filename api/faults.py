"""What nobody below has caught: each request is answered all the same, as a problem, and what broke is told of.

Around the routes, in place of the two layers that `Starlette` itself puts there, through which every message goes.
"""

from contextlib import suppress
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.asking import request_id_of
from api.deadlines import ReaderStalled
from api.envelope import SenderStalled
from api.logs import get_logger, tell_fault
from api.metrics import Metrics
from api.problems import problem, problem_response
from domain.outages import outage_of
from schema.answers import MASKED

_log = get_logger(__name__)


class Faults:
    """ASGI middleware that answers what the application raises, unless an answer had begun.

    Bugs are raised anew once they are answered, for the server to log. An outage of the database is logged here, and an
    answer that it cut short is for the server to see. What `api.deadlines` raises passes: it is answered there.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["app"] = self  # Starlette's routes then raise what they do not serve, instead of answering in plain text
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer.send)
        except (SenderStalled, ReaderStalled):
            raise
        except Exception as error:
            if isinstance(error, HTTPException) and not answer.has_begun:
                await answer.end(_not_served(error, scope), scope, receive)
                return
            self._metrics.faulted()
            outage = outage_of(error)
            if outage is None:
                with suppress(ReaderStalled):  # the bug has to be heard of all the same
                    await answer.end(problem(500, "INTERNAL", MASKED, request_id_of(scope)), scope, receive)
                raise
            tell_fault(_log, "fault", error)
            await answer.end(problem_response(outage, request_id_of(scope)), scope, receive)


class _Answer:
    """The way out of one request, and whether anything has gone it."""

    __slots__ = ("_send", "has_begun")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def send(self, message: Message) -> None:
        self.has_begun = True
        await self._send(message)

    async def end(self, response: Response, scope: Scope, receive: Receive) -> None:
        if not self.has_begun:
            await response(scope, receive, self._send)


def _not_served(error: HTTPException, scope: Scope) -> Response:
    code = HTTPStatus(error.status_code).phrase.upper().replace(" ", "_")
    response = problem(error.status_code, code, "Nothing is served here.", request_id_of(scope))
    response.headers.update(error.headers or {})
    return response
