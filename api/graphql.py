"""The /graphql endpoint: GraphQL over HTTP, with GraphQL bodies for every answer whatever its status.

It authenticates before it reads, leaves multipart bodies to the gate and documents to the executor, and knows neither
database nor rules.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import orjson
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.bodies import body_of, from_json, from_url, read_body
from api.credentials import UNKNOWN, Standing, address_of
from api.envelope import EnvelopeBreach, SenderGone
from api.event_streams import Streamed, send_stream
from api.gate import Gate, Incoming
from api.guards import Guard
from api.negotiation import (
    AnswerType,
    BodyType,
    NothingAcceptable,
    RequestRefused,
    answer_type,
    body_type,
    check_preflight,
    takes_streams,
)
from api.operations import Asker, Operations
from api.problems import STATUS, headers_of
from api.streams import Streams
from domain.errors import ExpiredCredential, Refusal
from domain.outages import outage_of
from domain.stream_errors import TooManyStreams
from schema.answers import Report, fault_body, refused
from schema.execution import QueryRefused


class MethodUnsupported(RequestRefused):
    """/graphql does not know the method."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    headers: ClassVar[Mapping[str, str]] = {"allow": "GET, POST"}


class ChangeByGet(RequestRefused):
    """A mutation was sent by GET, which must change nothing."""

    status = 405
    code = "METHOD_NOT_ALLOWED"
    headers: ClassVar[Mapping[str, str]] = {"allow": "POST"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A GraphQL body on its way out. In `application/json` it has status 200 whenever the request is well-formed."""

    body: Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_well_formed: bool = False


@dataclass(frozen=True, slots=True)
class GraphQLEndpoint:
    """An ASGI application for one path.

    `operations` are prepared and resolved; `identify` finds out who sent a request (raises BadCredential), `guard`
    watches over who reads a stream, and `streams` counts them; `page` answers a browser's GET, None: nothing does.
    `body_bytes` limits JSON.
    """

    operations: Operations
    gate: Gate
    identify: Callable[[Scope], Awaitable[Standing]]
    guard: Callable[[Standing], Guard]
    streams: Streams
    report: Report
    page: Callable[[], Response] | None
    body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        media_type = AnswerType.JSON
        response: Response | Streamed
        try:
            is_page_offered = self.page is not None and scope["method"] == "GET"
            media_type = answer_type(_accepted(headers), page=is_page_offered)
            if media_type is AnswerType.PAGE and self.page is not None:
                response = self.page()
            else:
                answer = await self._answer(scope, headers, receive, media_type)
                response = answer if isinstance(answer, Streamed) else _response(answer, media_type)
        except SenderGone:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a GraphQL body
            response = _response(self._refused(error, self.operations.facts_of(scope).request_id), media_type)
        if isinstance(response, Streamed):
            await self._stream(response, scope, receive, send)
        else:
            await response(scope, receive, send)

    async def _answer(
        self, scope: Scope, headers: Headers, receive: Receive, media_type: AnswerType
    ) -> Answer | Streamed:
        method = scope["method"]
        if method not in {"GET", "POST"}:
            raise MethodUnsupported(f"{method} is not served here.")
        if method == "GET":
            asker = await self._asker(scope)
            given = from_url(scope["query_string"])
        elif body_type(headers.getlist("content-type"), headers.get("content-encoding")) is BodyType.MULTIPART:
            check_preflight(headers)
            return await self._upload(await self._asker(scope), headers, receive)
        else:
            asker = await self._asker(scope)
            given = from_json(await read_body(receive, _length(headers), self.body_bytes))
        prepared, variables = await self.operations.prepare(given, asker)
        if method == "GET" and prepared.kind is OperationType.MUTATION:
            raise ChangeByGet("GET answers queries; send this one by POST.")
        if prepared.kind is OperationType.SUBSCRIPTION or media_type is AnswerType.STREAM:
            if not takes_streams(_accepted(headers)):
                raise NothingAcceptable(f"The answers to a subscription are a stream: accept {AnswerType.STREAM}.")
            return Streamed(
                self.operations.answers(prepared, variables, asker), self.guard(asker.standing), self.report
            )
        return Answer(await self.operations.execute(prepared, variables, asker))

    async def _upload(self, asker: Asker, headers: Headers, receive: Receive) -> Answer:
        facts = self.operations.facts_of(asker.scope)
        incoming = Incoming(headers.get("content-type"), _length(headers), body_of(receive), facts)
        async with self.gate.receive(incoming, asker.viewer, partial(self.operations.allow, asker)) as operation:
            return Answer(await self.operations.execute(operation.prepared, operation.variables, asker))

    async def _stream(self, streamed: Streamed, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self.streams.open(streamed.guard.viewer, address_of(scope)):
                await send_stream(streamed, scope, receive, send)
        except TooManyStreams as refusal:
            self.operations.count_early_end(refusal)
            await _response(_refusal(refusal), AnswerType.STREAM)(scope, receive, send)

    async def _asker(self, scope: Scope) -> Asker:
        try:
            asker = Asker(scope, await self.identify(scope))
        except ExpiredCredential as refusal:
            asker = Asker(scope, UNKNOWN, refusal)
        await self.operations.counting.request(scope, asker.viewer)
        return asker

    def _refused(self, error: Exception, request_id: str | None) -> Answer:
        self.operations.count_early_end(error)
        if isinstance(error, QueryRefused):
            body = {"errors": [one.formatted for one in error.errors]}
            return Answer(body, error.status, is_well_formed=True)
        if isinstance(error, EnvelopeBreach):
            body = {"errors": [{"message": error.message, "extensions": {"code": error.code}}]}
            return Answer(body, error.status, error.headers if isinstance(error, RequestRefused) else {})
        if isinstance(error, Refusal):
            return _refusal(error)
        self.report(error)
        body, outage = fault_body(error, request_id), outage_of(error)
        return Answer(body, 500) if outage is None else Answer(body, STATUS[outage.kind], headers_of(outage))


def refusal_response(refusal: Refusal, scope: Scope) -> Response:
    """The answer to a request that was refused before it came here, in the form of all others."""
    try:
        media_type = answer_type(_accepted(Headers(scope=scope)))
    except NothingAcceptable:
        media_type = AnswerType.JSON
    return _response(_refusal(refusal), media_type)


def _refusal(refusal: Refusal) -> Answer:
    return Answer({"errors": [refused(refusal).formatted]}, STATUS[refusal.kind], headers_of(refusal))


def _accepted(headers: Headers) -> str | None:
    values = headers.getlist("accept")
    return ",".join(values) if values else None


def _length(headers: Headers) -> int | None:
    # The server has checked it: a body of another length never gets here.
    value = headers.get("content-length")
    return int(value) if value is not None and value.isdecimal() else None


def _response(answer: Answer, media_type: AnswerType) -> Response:
    status = 200 if answer.is_well_formed and media_type is AnswerType.JSON else answer.status
    is_body = media_type in {AnswerType.JSON, AnswerType.GRAPHQL}
    headers = {
        "content-type": f"{media_type if is_body else AnswerType.JSON}; charset=utf-8",
        "cache-control": "no-store",
        "vary": "Accept",
        **answer.headers,
    }
    return Response(orjson.dumps(answer.body), status, headers)
