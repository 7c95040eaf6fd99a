"""Answers as an event stream: server-sent events, in the distinct connections mode of the GraphQL over SSE protocol.

Each answer is an event `next`, and `complete` follows the last. A stream ends with its credential, with a fault, with
its reader, and when the service stops, without `complete`; a reader that is slow is waited for, and what cannot wait
for it is the subscription's business.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from api.asking import request_id_of
from api.connections import stopping_of
from api.guards import Guard
from api.operations import Answers
from domain.errors import BadCredential, Refusal
from schema.answers import Report, fault_body, refused

KEEP_ALIVE_SECONDS: Final = 15.0
HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"vary", b"Accept"),
)
_COMPLETE: Final = b"event: complete\ndata:\n\n"
_NOTHING: Final = b":\n\n"


@dataclass(frozen=True, slots=True)
class Streamed:
    """Answers on their way out, who watches over their reader, and who is told of faults in between."""

    answers: Answers
    guard: Guard
    report: Report


async def send_stream(streamed: Streamed, scope: Scope, receive: Receive, send: Send) -> None:
    """Send answers until there are no more, or nobody who may read them."""
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    stream = _Stream(streamed, request_id_of(scope), send)
    try:
        await stream.run(scope, receive)
    finally:
        await stream.close()


class _Stream:
    def __init__(self, streamed: Streamed, request_id: str | None, send: Send) -> None:
        self._answers = streamed.answers
        self._guard = streamed.guard
        self._report = streamed.report
        self._request_id = request_id
        self._send = send
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, scope: Scope, receive: Receive) -> None:
        """Send what comes, and something every so often, so that the way here stays open."""
        gone = self._begin(_gone(receive))
        over = self._begin(self._guard.until_over())
        stopping = self._begin(stopping_of(scope).wait())
        coming = self._begin(self._next())
        await self._write(_NOTHING)
        while True:
            waited_for = {gone, over, stopping, coming}
            done, _ = await asyncio.wait(waited_for, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if gone in done:
                return
            if over in done:
                await self._write(_event(_refusal(over.result())) + _COMPLETE, is_last=True)
                return
            if stopping in done:
                # Without `complete`: its reader would take the subscription for finished, and not begin it anew.
                await self._write(b"", is_last=True)
                return
            if coming not in done:
                await self._write(_NOTHING)
            elif (answer := coming.result()) is None:
                await self._write(_COMPLETE, is_last=True)
                return
            else:
                await self._write(_event(answer))
                self._tasks.discard(coming)
                coming = self._begin(self._next())

    async def close(self) -> None:
        """Stop waiting for anything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._answers.aclose()

    def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        return task

    async def _next(self) -> dict[str, Any] | None:
        """The next answer, None after the last."""
        try:
            answer = await anext(self._answers)
            await self._guard.require()
        except StopAsyncIteration:
            return None
        except BadCredential as refusal:
            await self._answers.aclose()
            return _refusal(refusal)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the reader is told why nothing more comes
            self._report(fault)
            await self._answers.aclose()
            return fault_body(fault, self._request_id)
        return answer

    async def _write(self, body: bytes, *, is_last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def _gone(receive: Receive) -> None:
    """Until the reader has gone. What of its request was not read is passed over."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(answer: dict[str, Any]) -> bytes:
    # JSON has no line feed of its own, so that each answer is one line of data.
    return b"event: next\ndata: " + orjson.dumps(answer) + b"\n\n"


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {"errors": [refused(refusal).formatted]}
