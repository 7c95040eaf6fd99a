"""Event streams of an application in this process, as they come; and its bus, to have something happen."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from httpx2 import AsyncClient, Request, Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Message, Scope
from uuid_utils.compat import uuid7

from api.websocket import GraphQLSockets
from db.bus import Bus, News
from domain.events import EventKind
from tests.routing import router_of

STREAM = {"Accept": "text/event-stream"}
PATIENCE_SECONDS = 30


def bus_of(client: AsyncClient) -> Bus:
    """The bus of the application that the client asks."""
    routes = router_of(client._transport.app).routes  # type: ignore[attr-defined]
    [sockets] = [route.app for route in routes if isinstance(route, WebSocketRoute)]
    assert isinstance(sockets, GraphQLSockets)
    bus: Bus = sockets.guard.args[0]  # type: ignore[attr-defined]
    return bus


class EventStream:
    """An answer to `POST /graphql` that may go on: read event by event."""

    def __init__(self, app: ASGIApp, request: Request) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.comments = 0
        self.is_complete = False
        self._app = app
        self._request = request
        self._body = b""
        self._arrived: asyncio.Queue[Message] = asyncio.Queue()
        self._leaving = asyncio.Event()
        self._has_sent = False

    async def begin(self) -> None:
        """Send the request, and wait for the head of its answer."""
        path, query = self._request.url.path, self._request.url.query
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "client": ("127.0.0.1", 1),
            "server": ("cairn.test", 80),
        }
        self.task = asyncio.create_task(self._serve(scope))
        head = await self._take()
        self.status = head["status"]
        self.headers = {name.decode(): value.decode() for name, value in head["headers"]}

    async def leave(self) -> None:
        """Close the connection, as a client does that has seen enough."""
        self._leaving.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.task

    async def next(self) -> Any:
        """The next answer, None when the stream has ended. Of a body that is no stream, all of it."""
        while True:
            if self.headers["content-type"].startswith("text/event-stream") and b"\n\n" in self._body:
                block, _, self._body = self._body.partition(b"\n\n")
                if block.startswith(b"event: next\ndata: "):
                    return json.loads(block.removeprefix(b"event: next\ndata: "))
                self.is_complete = self.is_complete or block == b"event: complete\ndata:"
                self.comments += block == b":"
                continue
            message = await self._take()
            self._body += message.get("body", b"")
            if not message.get("more_body", False) and b"\n\n" not in self._body:
                return json.loads(self._body) if self._body else None

    async def _serve(self, scope: Scope) -> None:
        await self._app(scope, self._receive, self._arrived.put)

    async def _take(self) -> Message:
        arriving = asyncio.create_task(self._arrived.get())
        async with asyncio.timeout(PATIENCE_SECONDS):
            done, _ = await asyncio.wait({arriving, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if arriving in done or not self._arrived.empty():
            return await arriving
        arriving.cancel()
        self.task.result()
        return {"type": "http.response.body"}

    async def _receive(self) -> Message:
        if not self._has_sent:
            self._has_sent = True
            return {"type": "http.request", "body": self._request.content, "more_body": False}
        await self._leaving.wait()
        return {"type": "http.disconnect"}


@asynccontextmanager
async def streaming(
    client: AsyncClient, query: str, headers: Mapping[str, str] | None = None, **variables: Any
) -> AsyncIterator[EventStream]:
    """An operation whose answers come as an event stream, until the block ends."""
    body = {"query": query, "variables": variables}
    request = client.build_request("POST", "/graphql", json=body, headers={**STREAM, **(headers or {})})
    stream = EventStream(client._transport.app, request)  # type: ignore[attr-defined]
    await stream.begin()
    try:
        yield stream
    finally:
        await stream.leave()


async def first_answer(client: AsyncClient, body: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """The first answer of a stream, as if it were the only one. Something happens to whatever files are watched."""
    async with streaming(client, body["query"], headers, **body["variables"]) as stream:
        answer = await _while_something_happens(bus_of(client), stream.next())
        kept = {**stream.headers, "content-type": "application/json"}
        return Response(stream.status, headers=kept, json=answer)


async def _while_something_happens(bus: Bus, coming: Coroutine[Any, Any, Any]) -> Any:
    now = datetime.now(UTC).isoformat()
    change = {"kind": EventKind.FILE_RENAMED, "file": uuid7().hex, "actor": None, "at": now}
    answer = asyncio.create_task(coming)
    while not answer.done():
        bus.tell([News(topic, change) for topic in tuple(bus.topics) if topic.startswith("files:")])
        await asyncio.wait({answer}, timeout=0.02)
    return answer.result()
