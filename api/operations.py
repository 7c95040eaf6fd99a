"""Operations of whoever asks, by whatever connection: counted, prepared, and resolved once or for each event."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter
from typing import Any, Final, TypeAlias

from graphql import OperationType
from starlette.types import Scope

from api.bodies import Parameters
from api.credentials import Standing
from api.envelope import EnvelopeBreach
from api.limits import Counting
from api.metrics import Metrics
from api.operation_names import OTHER, OperationNames
from domain.errors import ExpiredCredential, Refusal
from domain.events import RequestFacts
from domain.viewer import Viewer
from schema.execution import Executor, Prepared, QueryRefused, Variables

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


class Outcome(StrEnum):
    """How an operation has ended: with all that it asked for, with a refusal of some of it, or with a fault."""

    OK = "ok"
    REFUSED = "refused"
    FAULT = "fault"


def outcome_of(answer: Mapping[str, Any], kind: OperationType) -> Outcome:
    """The outcome that an answer shows. Problems of a mutation show if its client has asked for them."""
    if errors := answer.get("errors"):
        return Outcome.FAULT if any(_is_fault(error) for error in errors) else Outcome.REFUSED
    payloads = (answer.get("data") or {}).values() if kind is OperationType.MUTATION else ()
    has_problems = any(isinstance(payload, dict) and payload.get("problems") for payload in payloads)
    return Outcome.REFUSED if has_problems else Outcome.OK


def _is_fault(error: Mapping[str, Any]) -> bool:
    return bool(error["extensions"]["code"] == "INTERNAL")


@dataclass(frozen=True, slots=True)
class Operations:
    """What is done with operations. `make_context` gives resolvers what they get, anew for each operation."""

    executor: Executor
    counting: Counting
    facts_of: Callable[[Scope], RequestFacts]
    make_context: Callable[[Viewer, RequestFacts], object]
    metrics: Metrics
    names: OperationNames = field(default_factory=OperationNames)

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
        began_at = perf_counter()
        answer = await self.executor.execute(prepared, variables, context, facts.request_id)
        self._count(prepared, asker, outcome_of(answer, prepared.kind), perf_counter() - began_at)
        return answer

    async def answers(self, prepared: Prepared, variables: Variables, asker: Asker) -> Answers:
        """The answers to a subscription, as `Executor.subscribe` gives them, or the one to anything else."""
        if prepared.kind is not OperationType.SUBSCRIPTION:
            yield await self.execute(prepared, variables, asker)
            return
        facts = self.facts_of(asker.scope)
        context = self.make_context(asker.viewer, facts)
        subscription = self.executor.subscribe(prepared, variables, context, facts.request_id)
        outcome = Outcome.OK
        self.metrics.subscriptions_changed(1)
        try:
            async for answer in subscription:
                outcome = outcome_of(answer, prepared.kind)
                yield answer
        finally:
            self.metrics.subscriptions_changed(-1)
            self._count(prepared, asker, outcome)
            await subscription.aclose()

    def count_early_end(self, error: Exception) -> None:
        """Count an operation that ended before it began: perhaps it cannot even be read."""
        is_refusal = isinstance(error, QueryRefused | EnvelopeBreach | Refusal)
        self.metrics.operation_ended(OTHER, "unknown", Outcome.REFUSED if is_refusal else Outcome.FAULT)

    def _count(self, prepared: Prepared, asker: Asker, outcome: Outcome, seconds: float | None = None) -> None:
        named = prepared.operation.name
        name = self.names.label(named.value if named else None, is_signed_in=asker.viewer.user_id is not None)
        self.metrics.operation_ended(name, prepared.kind.value, outcome, seconds)


def _require_valid(expired: ExpiredCredential | None, prepared: Prepared) -> None:
    fields = prepared.root_fields - {"__typename"}
    if expired is not None and not (fields and fields <= OPEN_FIELDS):
        raise expired
