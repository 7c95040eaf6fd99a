"""Refusals as `application/problem+json` (RFC 9457), for everything outside /graphql."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

import orjson
from starlette.responses import Response

from domain.errors import Kind, RateLimited, Refusal, Unavailable
from schema.answers import details_of

STATUS = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.TOO_LARGE: 413,
    Kind.RATE_LIMITED: 429,
    Kind.UNAVAILABLE: 503,
}

_STATUSES = {status.value for status in HTTPStatus}
NO_DETAILS: Mapping[str, object] = MappingProxyType({})


def problem(
    status: int, code: str, detail: str, request_id: str | None, details: Mapping[str, object] = NO_DETAILS
) -> Response:
    """A problem that is HTTP's own."""
    body = {
        **details,
        "code": code,
        "title": _title(status),
        "status": status,
        "detail": detail,
        "requestId": request_id,
    }
    return Response(orjson.dumps(body), status, {"cache-control": "no-store"}, "application/problem+json")


def _title(status: int) -> str:
    # tus has a status of its own that HTTP does not know.
    return HTTPStatus(status).phrase if status in _STATUSES else "Refused"


def problem_response(refusal: Refusal, request_id: str | None) -> Response:
    """A refusal as a problem, with its details beside what every problem has."""
    response = problem(STATUS[refusal.kind], refusal.code, refusal.message, request_id, details_of(refusal))
    response.headers.update(headers_of(refusal))
    return response


def headers_of(refusal: Refusal) -> dict[str, str]:
    """What HTTP says of a refusal beside its status: how to authenticate (RFC 6750), when to come back."""
    if refusal.kind is Kind.UNAUTHENTICATED:
        return {"www-authenticate": "Bearer"}
    if isinstance(refusal, Unavailable | RateLimited):
        return {"retry-after": str(refusal.retry_after_seconds)}
    return {}
