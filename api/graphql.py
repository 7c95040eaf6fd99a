"""The /graphql endpoint: GraphQL over HTTP, with GraphQL bodies for every answer whatever its status.

It authenticates before it reads, leaves multipart bodies to the gate and documents to the executor, and knows neither
database nor rules.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Final

import orjson
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.bodies import Parameters, body_of, from_json, from_url, read_body
from api.envelope import EnvelopeBreach, SenderGone
from api.gate import Gate, Incoming
from api.limits import Counting
from api.negotiation import (
    AnswerType,
    BodyType,
    NothingAcceptable,
    RequestRefused,
    answer_type,
    body_type,
    check_preflight,
)
from api.problems import STATUS, headers_of
from domain.errors import ExpiredCredential, Refusal
from domain.events import RequestFacts
from domain.viewer import NOBODY, Viewer
from schema.answers import Report, fault_body, refused
from schema.execution import Executor, Prepared, QueryRefused, Variables

OPEN_FIELDS: Final = frozenset(
    {
        "completeLogin",
        "confirmEmail",
        "login",
        "logout",
        "refreshSession",
        "requestPasswordReset",
        "resetPassword",
        "signup",
        "verifyEmail",
    }
)
"""Root fields for who signs in or out, or has a token from a mail or wants one: an expired access token, which clients
keep sending, keeps nobody from them."""


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
class _Asker:
    """Whose request it is; `expired` keeps those out who want more than to sign in."""

    scope: Scope
    viewer: Viewer
    expired: ExpiredCredential | None


@dataclass(frozen=True, slots=True)
class GraphQLEndpoint:
    """An ASGI application for one path.

    `authenticate` finds the viewer of a request (raises BadCredential), `facts_of` what else is known of the request,
    `make_context` what resolvers get; `counting` refuses viewers who ask too much; `page` answers a browser's GET,
    None: nothing does. `body_bytes` limits JSON.
    """

    executor: Executor
    gate: Gate
    authenticate: Callable[[Scope], Awaitable[Viewer]]
    counting: Counting
    facts_of: Callable[[Scope], RequestFacts]
    make_context: Callable[[Viewer, RequestFacts], object]
    report: Report
    page: Callable[[], Response] | None
    body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        media_type = AnswerType.JSON
        try:
            is_page_offered = self.page is not None and scope["method"] == "GET"
            media_type = answer_type(_accepted(headers), page=is_page_offered)
            if media_type is AnswerType.PAGE and self.page is not None:
                response = self.page()
            else:
                response = _response(await self._answer(scope, headers, receive), media_type)
        except SenderGone:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a GraphQL body
            response = _response(self._refused(error, self.facts_of(scope).request_id), media_type)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive) -> Answer:
        method = scope["method"]
        if method not in {"GET", "POST"}:
            raise MethodUnsupported(f"{method} is not served here.")
        if method == "GET":
            asker = await self._asker(scope)
            prepared, variables = await self._prepared(from_url(scope["query_string"]), asker)
            if prepared.kind is not OperationType.QUERY:
                raise ChangeByGet("GET answers queries; send this one by POST.")
            return await self._executed(prepared, variables, asker)
        kind = body_type(headers.getlist("content-type"), headers.get("content-encoding"))
        if kind is BodyType.MULTIPART:
            check_preflight(headers)
            return await self._upload(await self._asker(scope), headers, receive)
        asker = await self._asker(scope)
        body = await read_body(receive, _length(headers), self.body_bytes)
        prepared, variables = await self._prepared(from_json(body), asker)
        return await self._executed(prepared, variables, asker)

    async def _upload(self, asker: _Asker, headers: Headers, receive: Receive) -> Answer:
        incoming = Incoming(headers.get("content-type"), _length(headers), body_of(receive))
        async with self.gate.receive(incoming, asker.viewer, partial(self._allow, asker)) as operation:
            return await self._executed(operation.prepared, operation.variables, asker)

    async def _asker(self, scope: Scope) -> _Asker:
        try:
            viewer, expired = await self.authenticate(scope), None
        except ExpiredCredential as refusal:
            viewer, expired = NOBODY, refusal
        await self.counting.request(scope, viewer)
        return _Asker(scope, viewer, expired)

    async def _allow(self, asker: _Asker, prepared: Prepared) -> None:
        _require_valid(asker.expired, prepared)
        await self.counting.cost(asker.scope, asker.viewer, prepared.cost)

    async def _prepared(self, given: Parameters, asker: _Asker) -> tuple[Prepared, Variables]:
        prepared = self.executor.prepare(given.query, given.operation_name)
        await self._allow(asker, prepared)
        return prepared, self.executor.coerce(prepared, given.variables)

    async def _executed(self, prepared: Prepared, variables: Variables, asker: _Asker) -> Answer:
        facts = self.facts_of(asker.scope)
        context = self.make_context(asker.viewer, facts)
        return Answer(await self.executor.execute(prepared, variables, context, facts.request_id))

    def _refused(self, error: Exception, request_id: str | None) -> Answer:
        if isinstance(error, QueryRefused):
            body = {"errors": [one.formatted for one in error.errors]}
            return Answer(body, error.status, is_well_formed=True)
        if isinstance(error, EnvelopeBreach):
            body = {"errors": [{"message": error.message, "extensions": {"code": error.code}}]}
            return Answer(body, error.status, error.headers if isinstance(error, RequestRefused) else {})
        if isinstance(error, Refusal):
            return _refusal(error)
        self.report(error)
        return Answer(fault_body(request_id), 500)


def refusal_response(refusal: Refusal, scope: Scope) -> Response:
    """The answer to a request that was refused before it came here, in the form of all others."""
    try:
        media_type = answer_type(_accepted(Headers(scope=scope)))
    except NothingAcceptable:
        media_type = AnswerType.JSON
    return _response(_refusal(refusal), media_type)


def _refusal(refusal: Refusal) -> Answer:
    return Answer({"errors": [refused(refusal).formatted]}, STATUS[refusal.kind], headers_of(refusal))


def _require_valid(expired: ExpiredCredential | None, prepared: Prepared) -> None:
    fields = prepared.root_fields - {"__typename"}
    if expired is not None and not (fields and fields <= OPEN_FIELDS):
        raise expired


def _accepted(headers: Headers) -> str | None:
    values = headers.getlist("accept")
    return ",".join(values) if values else None


def _length(headers: Headers) -> int | None:
    # The server has checked it: a body of another length never gets here.
    value = headers.get("content-length")
    return int(value) if value is not None and value.isdecimal() else None


def _response(answer: Answer, media_type: AnswerType) -> Response:
    status = 200 if answer.is_well_formed and media_type is AnswerType.JSON else answer.status
    headers = {
        "content-type": f"{AnswerType.JSON if media_type is AnswerType.PAGE else media_type}; charset=utf-8",
        "cache-control": "no-store",
        "vary": "Accept",
        **answer.headers,
    }
    return Response(orjson.dumps(answer.body), status, headers)
