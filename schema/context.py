"""What every resolver is given: who asks, from where, and the handles to the layers below."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import strawberry

from db.engine import Database, Transaction
from domain.analytics_answers import Statistics
from domain.events import RequestFacts
from domain.ports import Ports
from domain.viewer import Viewer
from schema.loaders import Loaders
from storage.store import ResumableStore


@dataclass(kw_only=True)
class Context:
    """One per operation. `loaders` are replaced after each mutation field and for each event of a subscription."""

    viewer: Viewer
    request: RequestFacts
    db: Database
    store: ResumableStore
    ports: Ports
    loaders: Loaders
    statistics: Statistics


Info: TypeAlias = strawberry.Info[Context, None]


@asynccontextmanager
async def changing(context: Context) -> AsyncIterator[Transaction]:
    """The one transaction of a mutation field; what is resolved after it is loaded anew."""
    async with context.db.transaction() as tx:
        yield tx
    load_anew(context)


def load_anew(context: Context) -> None:
    """Have what is resolved from now on show what was changed until now."""
    context.loaders = Loaders(context.db, context.viewer, context.ports.clock)
