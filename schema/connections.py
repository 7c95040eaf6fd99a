"""Relay connections: arguments into a window, rows into cursors.

A cursor names a position in one order; used with another order it is refused. Source: the GraphQL Cursor Connections
Specification.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import orjson
import strawberry
from graphql import GraphQLError

from db.questions import Page, Position, Window
from domain.errors import InvalidInput

PAGE_DEFAULT = 25
PAGE_MAXIMUM = 100
CURSOR_MAXIMUM = 8192
"""Characters; the longest cursor of ours has a name whose folding made it longer."""


@strawberry.type(description="Where a page lies in the whole list.")
class PageInfo:
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Whether more follow after this page.")
    has_previous_page: bool = strawberry.field(description="Whether more stand before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first edge; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last edge; null on an empty page.")


Entry = TypeVar("Entry")
First: TypeAlias = Annotated[int | None, strawberry.argument(description="1 to 100 from the start; 25 by default.")]
After: TypeAlias = Annotated[str | None, strawberry.argument(description="Only what follows this cursor.")]
Last: TypeAlias = Annotated[int | None, strawberry.argument(description="1 to 100 from the end.")]
Before: TypeAlias = Annotated[str | None, strawberry.argument(description="Only what stands before this cursor.")]


@strawberry.type(description="An entry of a list, and where it stands.")
class Edge(Generic[Entry]):
    """Relay's edge."""

    node: Entry = strawberry.field(description="The entry.")
    cursor: str = strawberry.field(description="Where it stands, for `after` and `before`.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[Entry]):
    """Relay's connection."""

    count: strawberry.Private[Callable[[], Awaitable[int]]]
    edges: list[Edge[Entry]] = strawberry.field(description="The entries of this page, with their cursors.")
    nodes: list[Entry] = strawberry.field(description="The entries of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page lies in the whole list.")

    @strawberry.field(description="How many entries there are on all pages. Counted only when asked for.")
    async def total_count(self) -> int:
        """One more statement."""
        return await self.count()


@dataclass(frozen=True, slots=True)
class PageArguments:
    """The four arguments of a connection field."""

    first: int | None
    after: str | None
    last: int | None
    before: str | None


@dataclass(frozen=True, slots=True)
class Cursors:
    """Cursors of one order: `name` tells the order, `value_of` gives what a row is sorted by."""

    name: str
    value_of: Callable[[Any], str | int | datetime]
    parse: Callable[[Any], str | int | datetime]

    def encode(self, row: Any) -> str:  # noqa: ANN401 - rows of any noun
        """The cursor of a row."""
        value = self.value_of(row)
        written = value.isoformat() if isinstance(value, datetime) else value
        return urlsafe_b64encode(orjson.dumps([self.name, written, row.id.hex])).decode()

    def decode(self, cursor: str | None, argument: str) -> Position | None:
        """The position that a cursor names. Raises InvalidInput."""
        if cursor is None:
            return None
        try:
            fields = orjson.loads(urlsafe_b64decode(cursor.encode())) if len(cursor) <= CURSOR_MAXIMUM else None
            match fields:
                case [self.name, value, str(digits)]:
                    return Position(self.parse(value), UUID(hex=digits))
        except (ValueError, TypeError, AttributeError, GraphQLError):
            pass
        raise InvalidInput(message=f"`{argument}` is not a cursor of this list in this order.", path=(argument,))


def window_of(arguments: PageArguments, cursors: Cursors) -> Window:
    """The window that the arguments ask for: the first 25 when they say nothing. Raises InvalidInput."""
    if arguments.first is not None and arguments.last is not None:
        raise InvalidInput(message="Ask for `first` or for `last`, not for both.", path=("first",))
    is_backward = arguments.last is not None
    limit = arguments.last if arguments.last is not None else arguments.first
    if limit is None:
        limit = PAGE_DEFAULT
    if not 1 <= limit <= PAGE_MAXIMUM:
        argument = "last" if is_backward else "first"
        raise InvalidInput(message=f"A page has 1 to {PAGE_MAXIMUM} entries, not {limit}.", path=(argument,))
    after, before = cursors.decode(arguments.after, "after"), cursors.decode(arguments.before, "before")
    return Window(limit, after, before, is_backward)


def nothing_in(window: Window) -> Page[Any]:
    """The page of a window that nothing lies in."""
    return Page((), has_next=window.before is not None, has_previous=window.after is not None)


def connection_of(
    page: Page[Any], cursors: Cursors, make: Callable[[Any], Entry], count: Callable[[], Awaitable[int]]
) -> Connection[Entry]:
    """The connection of a page of rows, each made into what the list shows."""
    edges = [Edge(node=make(row), cursor=cursors.encode(row)) for row in page.items]
    return Connection(
        count=count,
        edges=edges,
        nodes=[edge.node for edge in edges],
        page_info=PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )
