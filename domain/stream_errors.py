"""Refusals of what is told while it happens. Part of what `domain.errors` says of all refusals."""

from dataclasses import dataclass

from domain.errors import Kind, Refusal


@dataclass(eq=False, kw_only=True)
class TooManyStreams(Refusal):
    """So many connections or subscriptions are open already as one may have: `maximum`."""

    code = "TOO_MANY_STREAMS"
    kind = Kind.RATE_LIMITED
    maximum: int


@dataclass(eq=False, kw_only=True)
class StreamOverrun(Refusal):
    """More happened than was read, and what could not wait is lost: read the list, and subscribe anew."""

    code = "STREAM_OVERRUN"
    kind = Kind.RATE_LIMITED
    message: str = "More happened than you read. Read what there is now, and subscribe anew."
