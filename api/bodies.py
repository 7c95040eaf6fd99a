"""What a GraphQL request says, from a JSON body or a URL: the parameters of GraphQL over HTTP, whatever was sent."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.types import Receive

from api.envelope import EnvelopeBreach, RequestTooLarge, SenderGone
from api.json_objects import read_object

MAXIMUM_URL_PARAMETERS = 16

Value = TypeVar("Value")


class RequestInvalid(EnvelopeBreach):
    """The request is not one of GraphQL over HTTP."""

    code = "BAD_REQUEST"


class PersistedQueryUnknown(EnvelopeBreach):
    """Only a hash was sent. Apollo's clients know the code, and send the document after it."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"


@dataclass(frozen=True, slots=True)
class Parameters:
    """A well-formed request, section 5 of GraphQL over HTTP. Nothing is known of the document yet."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    """The body's chunks, from ASGI's `receive`. Raises SenderGone."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise SenderGone
        more = message.get("more_body", False)
        if chunk := message.get("body", b""):
            yield chunk


async def read_body(receive: Receive, declared_length: int | None, limit: int) -> bytes:
    """The whole body. Raises SenderGone, and RequestTooLarge over `limit` bytes: unread, if that much is declared."""
    if declared_length is not None and declared_length > limit:
        raise RequestTooLarge(f"The request has {declared_length} bytes; {limit} are allowed.")
    body = bytearray()
    async for chunk in body_of(receive):
        body += chunk
        if len(body) > limit:
            raise RequestTooLarge(f"The request is larger than {limit} bytes.")
    return bytes(body)


def from_json(body: bytes, what: str = "The request's body") -> Parameters:
    """The parameters in a JSON body, which sentences call `what`. Raises RequestInvalid, and RequestTooLarge."""
    return parameters_of(_object(body, what))


def from_url(query_string: bytes) -> Parameters:
    """The parameters in a URL, `variables` and `extensions` as JSON. Raises RequestInvalid."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAXIMUM_URL_PARAMETERS,
        )
    except ValueError:
        raise RequestInvalid("The URL's parameters are not percent-encoded UTF-8, or too many.") from None
    given: dict[str, Any] = dict(pairs)
    if len(given) < len(pairs):
        raise RequestInvalid("The URL has a parameter twice.")
    for name in ("variables", "extensions"):
        text = given.get(name)
        if text is not None:
            given[name] = _object(text.encode(), f"The URL's parameter “{name}”") if text not in {"", "null"} else None
    return parameters_of(given)


def parameters_of(given: dict[str, Any]) -> Parameters:
    """The parameters in an object. Raises RequestInvalid."""
    query = given.get("query")
    name = _checked(given, "operationName", str)
    variables = _checked(given, "variables", dict)
    extensions = _checked(given, "extensions", dict)
    if query is None and extensions and "persistedQuery" in extensions:
        raise PersistedQueryUnknown("PersistedQueryNotSupported")
    if not isinstance(query, str):
        raise RequestInvalid("“query” is missing, or not a string.")
    return Parameters(query, name, variables or {})


def _checked(given: dict[str, Any], name: str, kind: type[Value]) -> Value | None:
    value = given.get(name)
    if value is not None and not isinstance(value, kind):
        raise RequestInvalid(f"“{name}” has the wrong type.")
    return value


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        return read_object(text, what)
    except RequestTooLarge:
        raise
    except EnvelopeBreach as breach:
        raise RequestInvalid(breach.message) from None
