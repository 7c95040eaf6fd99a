"""Operations of whoever asks, by whatever connection: counted, prepared, and resolved once or for each event."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from graphql import OperationType
from starlette.types import Scope

from api.bodies import Parameters
from api.credentials import Standing
from api.limits import Counting
from domain.errors import ExpiredCredential
from domain.events import RequestFacts
from domain.viewer import Viewer
from schema.execution import Executor, Prepared, Variables

OPEN_FIELDS: Final = frozenset(
    {
        "completeLogin",
        "confirmEmail",
        "login",
        "logout",
        "refreshSession",
        "requestPasswordReset",
        "resetPassword",
        "signup",
        "verifyEmail",
    }
)
"""Root fields for who signs in or out, or has a token from a mail or wants one: an expired access token, which clients
keep sending, keeps nobody from them."""


Answers: TypeAlias = AsyncGenerator[dict[str, Any], None]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, by which connection; `expired` keeps those out who want more than to sign in."""

    scope: Scope
    standing: Standing
    expired: ExpiredCredential | None = None

    @property
    def viewer(self) -> Viewer:
        """Who asks."""
        return self.standing.viewer


@dataclass(frozen=True, slots=True)
class Operations:
    """What is done with operations. `make_context` gives resolvers what they get, anew for each operation."""

    executor: Executor
    counting: Counting
    facts_of: Callable[[Scope], RequestFacts]
    make_context: Callable[[Viewer, RequestFacts], object]

    async def allow(self, asker: Asker, prepared: Prepared) -> None:
        """Count what an operation costs. Raises ExpiredCredential and RateLimited."""
        _require_valid(asker.expired, prepared)
        await self.counting.cost(asker.scope, asker.viewer, prepared.cost)

    async def prepare(self, given: Parameters, asker: Asker) -> tuple[Prepared, Variables]:
        """Judge what is asked for. Raises QueryRefused, ExpiredCredential and RateLimited."""
        prepared = self.executor.prepare(given.query, given.operation_name)
        await self.allow(asker, prepared)
        return prepared, self.executor.coerce(prepared, given.variables)

    async def execute(self, prepared: Prepared, variables: Variables, asker: Asker) -> dict[str, Any]:
        """The answer to a query or a mutation."""
        facts = self.facts_of(asker.scope)
        context = self.make_context(asker.viewer, facts)
        return await self.executor.execute(prepared, variables, context, facts.request_id)

    async def answers(self, prepared: Prepared, variables: Variables, asker: Asker) -> Answers:
        """The answers to a subscription, as `Executor.subscribe` gives them, or the one to anything else."""
        if prepared.kind is not OperationType.SUBSCRIPTION:
            yield await self.execute(prepared, variables, asker)
            return
        facts = self.facts_of(asker.scope)
        context = self.make_context(asker.viewer, facts)
        subscription = self.executor.subscribe(prepared, variables, context, facts.request_id)
        try:
            async for answer in subscription:
                yield answer
        finally:
            await subscription.aclose()


def _require_valid(expired: ExpiredCredential | None, prepared: Prepared) -> None:
    fields = prepared.root_fields - {"__typename"}
    if expired is not None and not (fields and fields <= OPEN_FIELDS):
        raise expired
