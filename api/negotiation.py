"""Which media type an answer has and a request may have, as GraphQL over HTTP says. Pure functions over headers."""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar, Final

from api.envelope import EnvelopeBreach, MediaTypeUnsupported
from api.part_heads import CHARSETS


class AnswerType(StrEnum):
    """What an answer can be."""

    GRAPHQL = "application/graphql-response+json"
    JSON = "application/json"
    STREAM = "text/event-stream"
    PAGE = "text/html"


class BodyType(StrEnum):
    """What a request's body can be."""

    JSON = "application/json"
    MULTIPART = "multipart/form-data"


class RequestRefused(EnvelopeBreach):
    """Refused from the head alone. `headers` belong to the answer."""

    headers: ClassVar[Mapping[str, str]] = {}


class NothingAcceptable(RequestRefused):
    """The client takes no media type that an answer can have."""

    status = 406
    code = "NOT_ACCEPTABLE"


class EncodingUnsupported(RequestRefused):
    """The body is compressed."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"
    headers: ClassVar[Mapping[str, str]] = {"accept-encoding": "identity"}


class PreflightMissing(RequestRefused):
    """A browser may have sent this for a page of another site, without asking us first."""

    status = 403
    code = "PREFLIGHT_REQUIRED"


PREFLIGHT_HEADERS: Final = (
    "authorization",
    "x-api-key",
    "apollo-require-preflight",
    "x-apollo-operation-name",
    "graphql-require-preflight",
)
"""A browser asks before it sends one of these across origins, so who sends one has been let in."""

_QUALITY = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII)
_MAXIMUM_RANGES: Final = 32


def answer_type(accept: str | None, *, page: bool = False) -> AnswerType:
    """What the client likes best of what can be had (RFC 9110 section 12.5.1). Raises NothingAcceptable.

    Without a preference it is `application/json`. The other types are for those who name them: a wildcard comes from
    clients that never heard of them. On a tie the API wins over the page, one answer over a stream of them (clients
    name both for whatever they ask), and the newer type over the older.
    """
    if accept is None or not accept.strip():
        return AnswerType.JSON
    ranges = _ranges(accept)
    named = {
        AnswerType.GRAPHQL: ranges.get(AnswerType.GRAPHQL, 0.0),
        AnswerType.JSON: next((ranges[key] for key in (AnswerType.JSON, "application/*", "*/*") if key in ranges), 0.0),
        AnswerType.STREAM: ranges.get(AnswerType.STREAM, 0.0),
        AnswerType.PAGE: ranges.get(AnswerType.PAGE, 0.0) if page else 0.0,
    }
    best = max(named, key=lambda media_type: named[media_type])
    if named[best] == 0:
        raise NothingAcceptable(f"Answers are {AnswerType.GRAPHQL}, {AnswerType.JSON} or {AnswerType.STREAM}.")
    return best


def takes_streams(accept: str | None) -> bool:
    """Whether the client says that it reads event streams."""
    return _ranges(accept or "").get(AnswerType.STREAM, 0.0) > 0


def body_type(content_types: Sequence[str], encoding: str | None) -> BodyType:
    """What the body is. Raises MediaTypeUnsupported and EncodingUnsupported."""
    if encoding is not None and encoding.strip().lower() not in {"", "identity"}:
        raise EncodingUnsupported("Compressed requests are not read.")
    if len(content_types) != 1:
        raise MediaTypeUnsupported(f"One Content-Type is needed: {BodyType.JSON}, or {BodyType.MULTIPART} with files.")
    essence, *parameters = content_types[0].split(";")
    try:
        media_type = BodyType(essence.strip().lower())
    except ValueError:
        raise MediaTypeUnsupported(f"Requests are {BodyType.JSON}, or {BodyType.MULTIPART} with files.") from None
    if media_type is BodyType.JSON:
        _check_charset(parameters)
    return media_type


def check_preflight(headers: Mapping[str, str]) -> None:
    """Let a multipart request through that a browser would have asked about first. Raises PreflightMissing."""
    if not any(name in headers for name in PREFLIGHT_HEADERS):
        raise PreflightMissing("A multipart request needs the header GraphQL-Require-Preflight: 1, or a credential.")


def _ranges(accept: str) -> dict[str, float]:
    """The media ranges by name, with their quality; what is malformed counts as not said."""
    found: dict[str, float] = {}
    for element in accept.split(",", _MAXIMUM_RANGES)[:_MAXIMUM_RANGES]:
        name, *parameters = element.split(";")
        quality = _quality(parameters)
        if quality is not None:
            key = name.strip().lower()
            found[key] = max(quality, found.get(key, 0.0))
    return found


def _quality(parameters: Sequence[str]) -> float | None:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return float(value) if _QUALITY.fullmatch(value := value.strip()) else None
    return 1.0


def _check_charset(parameters: Sequence[str]) -> None:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in CHARSETS:
            raise MediaTypeUnsupported("JSON is read in UTF-8.")
