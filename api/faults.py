"""What nobody below has caught: each request is answered all the same, as a problem, and what broke is told of.

Around the routes, in place of the three layers that `Starlette` itself puts there, through which every message goes.
"""

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
    """ASGI middleware: what the application raises is answered, unless an answer had begun, and goes no further.

    But for bugs, which are raised anew once they are answered, for the server to log; and for what `api.deadlines`
    raises through the application, since that answers it. An answer that is not whole is for the server to see.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        scope["app"] = self  # routes then raise what they do not serve, instead of answering in their own way
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer.send)
        except (SenderStalled, ReaderStalled):
            raise
        except HTTPException as error:
            await answer.end(_not_served(error, scope), scope, receive)
        except Exception as fault:
            self._metrics.faulted()
            outage = outage_of(fault)
            if outage is None:
                await answer.end(problem(500, "INTERNAL", MASKED, request_id_of(scope)), scope, receive)
                raise
            tell_fault(_log, "fault", fault)
            await answer.end(problem_response(outage, request_id_of(scope)), scope, receive)


class _Answer:
    """The way out of one request, and whether anything has gone it."""

    __slots__ = ("_has_begun", "_send")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_begun = False

    async def send(self, message: Message) -> None:
        self._has_begun = True
        await self._send(message)

    async def end(self, response: Response, scope: Scope, receive: Receive) -> None:
        if not self._has_begun:
            await response(scope, receive, self._send)


def _not_served(error: HTTPException, scope: Scope) -> Response:
    code = HTTPStatus(error.status_code).phrase.upper().replace(" ", "_")
    response = problem(error.status_code, code, "Nothing is served here.", request_id_of(scope))
    response.headers.update(error.headers or {})
    return response
