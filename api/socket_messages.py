"""Messages of graphql-transport-ws, as pure functions over text, and the codes that connections end with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from api.envelope import EnvelopeBreach
from api.json_objects import read_object

MAXIMUM_ID: Final = 128
MAXIMUM_REASON: Final = 123
"""Bytes that a closing frame has room for, RFC 6455 section 5.5."""


class Kind(StrEnum):
    """What a message is."""

    INIT = "connection_init"
    ACK = "connection_ack"
    PING = "ping"
    PONG = "pong"
    SUBSCRIBE = "subscribe"
    NEXT = "next"
    ERROR = "error"
    COMPLETE = "complete"


FROM_CLIENTS: Final = frozenset({Kind.INIT, Kind.PING, Kind.PONG, Kind.SUBSCRIBE, Kind.COMPLETE})


class Close(Exception):  # noqa: N818 - a fact, named as such
    """The connection ends with this code, and a reason for whoever reads logs."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:MAXIMUM_REASON].decode(errors="ignore")


def unauthorized() -> Close:
    """An operation came before the connection was acknowledged."""
    return Close(4401, "Unauthorized")


def forbidden(reason: str) -> Close:
    """The credential is not good, or good no longer."""
    return Close(4403, reason)


def unknown_subprotocol() -> Close:
    """The client speaks another protocol."""
    return Close(4406, "Subprotocol not acceptable")


def too_slow_to_begin() -> Close:
    """No `connection_init` came in time."""
    return Close(4408, "Connection initialisation timeout")


def is_taken(operation_id: str) -> Close:
    """An operation of this id is under way."""
    return Close(4409, f"Subscriber for {operation_id} already exists")


def too_many(reason: str = "Too many initialisation requests") -> Close:
    """A second `connection_init`, or more connections than one may have: no client tries again by itself."""
    return Close(4429, reason)


def try_later(reason: str) -> Close:
    """Something that the service needs is out of order for now.

    Clients connect anew after this code, which is of the registry of RFC 6455, and not after the one of `broken`.
    """
    return Close(1013, reason)


def broken() -> Close:
    """The service met a fault."""
    return Close(4500, "Internal server error")


@dataclass(frozen=True, slots=True)
class SocketMessage:
    """A message of a client, well-formed as far as its kind tells. `id` is empty where there is none."""

    kind: Kind
    id: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


def read_message(text: str | None) -> SocketMessage:
    """The message in a text frame; None: it was a binary one. Raises Close, with 4400."""
    if text is None:
        raise Close(4400, "Binary messages are not read")
    try:
        given = read_object(text.encode(), "The message")
    except EnvelopeBreach as breach:
        raise Close(4400, breach.message) from None
    kind, payload, operation_id = given.get("type"), given.get("payload"), given.get("id")
    if not isinstance(kind, str) or kind not in FROM_CLIENTS:
        raise Close(4400, "The message has no type that clients send")
    if payload is not None and not isinstance(payload, dict):
        raise Close(4400, f"The payload of {kind} is not an object")
    if kind not in {Kind.SUBSCRIBE, Kind.COMPLETE}:
        return SocketMessage(Kind(kind), payload=payload or {})
    if not isinstance(operation_id, str) or not 1 <= len(operation_id) <= MAXIMUM_ID:
        raise Close(4400, f"The id of {kind} is not a string of 1 to {MAXIMUM_ID} characters")
    return SocketMessage(Kind(kind), operation_id, payload or {})


def acknowledged() -> str:
    """The connection may be used."""
    return _written({"type": Kind.ACK})


def pong(payload: Mapping[str, Any]) -> str:
    """The answer to a ping, with what came with it."""
    return _written({"type": Kind.PONG, "payload": payload} if payload else {"type": Kind.PONG})


def answer_of(operation_id: str, answer: Mapping[str, Any]) -> str:
    """An answer of an operation."""
    return _written({"id": operation_id, "type": Kind.NEXT, "payload": answer})


def errors_of(operation_id: str, errors: Iterable[Mapping[str, Any]]) -> str:
    """Why an operation ends, or does not begin: nothing follows."""
    return _written({"id": operation_id, "type": Kind.ERROR, "payload": list(errors)})


def completed(operation_id: str) -> str:
    """An operation has no more answers."""
    return _written({"id": operation_id, "type": Kind.COMPLETE})


def _written(message: Mapping[str, Any]) -> str:
    return orjson.dumps(message).decode()
