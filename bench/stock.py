"""The reference's application: Strawberry's GraphQL view and Starlette's FileResponse on uvicorn, nothing tuned.

`python -m bench.stock PORT DATABASE_URL FOLDER PROCESSES`; tokens are signed with KEY.
"""

import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import col, select
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from strawberry.asgi import GraphQL

from bench.stock_schema import StockContext, build_stock_schema, session_on, users_on
from db import models

KEY = "the key of the stock view, at least thirty-two bytes"
POOL = 20


def token_for(user_id: UUID) -> str:
    """An access token of the reference."""
    return jwt.encode({"sub": str(user_id), "exp": 4_000_000_000}, KEY, "HS256")


@dataclass(frozen=True, slots=True)
class Stock:
    """The application's parts."""

    engine: AsyncEngine
    folder: Path

    async def viewer(self, request: HTTPConnection) -> models.User:
        """Who asks: the token verified, and the user selected, as the service does."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, KEY, algorithms=["HS256"])
        except jwt.InvalidTokenError as error:
            raise HTTPException(HTTPStatus.UNAUTHORIZED) from error
        async with session_on(self.engine) as session:
            user = await session.get(models.User, UUID(claims["sub"]))
        if user is None or user.disabled_at is not None:
            raise HTTPException(HTTPStatus.UNAUTHORIZED)
        return user

    async def plain_file(self, request: Request) -> Response:
        """FileResponse alone: no right is asked for."""
        return FileResponse(self.folder / request.path_params["name"])

    async def guarded_file(self, request: Request) -> Response:
        """FileResponse after the viewer and the file's row have been looked up, as the service must."""
        viewer = await self.viewer(request)
        async with session_on(self.engine) as session:
            found = await session.exec(
                select(models.File)
                .join(models.Member, col(models.Member.workspace_id) == col(models.File.workspace_id))
                .where(col(models.Member.user_id) == viewer.id, col(models.File.name) == request.path_params["name"])
            )
            file = found.first()
        if file is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return FileResponse(self.folder / file.name, media_type=file.media_type, filename=file.name)


class View(GraphQL[StockContext, None]):
    """The stock view with its context."""

    stock: Stock

    async def get_context(self, request: Any, response: Any) -> StockContext:
        """New for every request."""
        del response
        viewer = await self.stock.viewer(request)
        return StockContext(self.stock.engine, self.stock.folder, viewer, users_on(self.stock.engine))


def make_stock(database_url: str, folder: Path) -> Starlette:
    """The application."""
    stock = Stock(create_async_engine(database_url, pool_size=POOL), folder)
    view = View(build_stock_schema(), multipart_uploads_enabled=True)
    view.stock = stock
    return Starlette(
        routes=[
            Route("/graphql", view),
            Route("/plain/{name}", stock.plain_file),
            Route("/guarded/{name}", stock.guarded_file),
        ]
    )


def made_of_arguments() -> Starlette:
    """The application of one process, in each of which the arguments are the same."""
    return make_stock(sys.argv[2], Path(sys.argv[3]))


if __name__ == "__main__":
    uvicorn.run(
        "bench.stock:made_of_arguments",
        factory=True,
        port=int(sys.argv[1]),
        workers=int(sys.argv[4]),
        access_log=False,
        log_level="warning",
    )
