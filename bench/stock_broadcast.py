"""The reference's subscriptions: Strawberry's stock view, a queue per subscriber, no rights and no database.

`python -m bench.stock_broadcast PORT`; `POST /tell` has something happen.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL

QUEUES: set[asyncio.Queue["FileEvent"]] = set()


@strawberry.type
class FileEvent:
    """Something that happened."""

    kind: str
    file_id: strawberry.ID
    happened_at: datetime


@strawberry.type
class Query:
    """A schema needs one."""

    nothing: int = 0


@strawberry.type
class Subscription:
    """The root of subscriptions."""

    @strawberry.subscription
    async def file_changed(self) -> AsyncGenerator[FileEvent, None]:
        """From now on."""
        queue: asyncio.Queue[FileEvent] = asyncio.Queue()
        QUEUES.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            QUEUES.discard(queue)


async def tell(_request: Request) -> Response:
    """Have something happen."""
    event = FileEvent(kind="FILE_UPLOADED", file_id=strawberry.ID("file_1"), happened_at=datetime.now(UTC))
    for queue in QUEUES:
        queue.put_nowait(event)
    return Response(status_code=204)


def make_broadcast() -> Starlette:
    """The application."""
    schema = strawberry.Schema(query=Query, subscription=Subscription)
    view = GraphQL[None, None](schema, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL])
    return Starlette(
        routes=[
            Route("/graphql", view),
            WebSocketRoute("/graphql", view),
            Route("/tell", tell, methods=["POST"]),
        ]
    )


if __name__ == "__main__":
    uvicorn.run(make_broadcast(), port=int(sys.argv[1]), access_log=False, log_level="warning")
