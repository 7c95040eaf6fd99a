"""Whether the process lives and whether it can serve: `/health/live`, `/health/ready`, and `/health` for the latter.

Answers name parts and states and nothing else: no addresses, no paths, no messages of faults.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.logs import get_logger

Check = Callable[[], Awaitable[object]]

KEPT_SECONDS = 1.0
DEADLINE_SECONDS = 2.0
OK, UNAVAILABLE, OFF = "ok", "unavailable", "off"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """Something the service depends on. `check` raises, or returns False, when it is out of order.

    Without a check it is off. Only a required part decides whether the service is ready.
    """

    check: Check | None
    is_required: bool = True


class Health:
    """Asks the parts, at most once a second however often it is asked itself."""

    def __init__(
        self,
        parts: Mapping[str, Part],
        *,
        kept_seconds: float = KEPT_SECONDS,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._parts = parts
        self._kept_seconds = kept_seconds
        self._deadline_seconds = deadline_seconds
        self._running: dict[str, asyncio.Task[bool]] = {}
        self._round: asyncio.Task[dict[str, str]] | None = None
        self._ends_at = 0.0
        self._last: dict[str, str] = {}

    async def states(self) -> dict[str, str]:
        """The state of each part: `ok`, `unavailable` or `off`; at most about a second old."""
        if self._round is None or (self._round.done() and time.monotonic() >= self._ends_at):
            self._round = asyncio.create_task(self._ask_all())
        # Shielded: a client that leaves must not take the answer away from the others who wait for it.
        return await asyncio.shield(self._round)

    def is_ready(self, states: Mapping[str, str]) -> bool:
        """Whether every part that the service cannot do without is in order."""
        return all(states[name] != UNAVAILABLE for name, part in self._parts.items() if part.is_required)

    async def _ask_all(self) -> dict[str, str]:
        answers = await asyncio.gather(*(self._ask(name, part) for name, part in self._parts.items()))
        states = dict(zip(self._parts, answers, strict=True))
        self._ends_at = time.monotonic() + self._kept_seconds
        if states != self._last:
            tell = _log.info if self.is_ready(states) else _log.error
            tell("health", **states)
        self._last = states
        return states

    async def _ask(self, name: str, part: Part) -> str:
        if part.check is None:
            return OFF
        # A check that hangs is not cancelled but waited for again: hung checks would pile up threads otherwise.
        task = self._running.get(name)
        if task is None:
            task = self._running[name] = asyncio.create_task(_passes(name, part.check))
        done, _ = await asyncio.wait({task}, timeout=self._deadline_seconds)
        if not done:
            return UNAVAILABLE
        del self._running[name]
        return OK if task.result() else UNAVAILABLE


async def _passes(name: str, check: Check) -> bool:
    try:
        return await check() is not False
    except Exception as fault:  # noqa: BLE001 - whatever is wrong with it, it is out of order
        _log.debug("health check failed", part=name, reason=type(fault).__name__, exc_info=True)
        return False


def health_routes(health: Health) -> list[Route]:
    """The three routes, for GET and HEAD."""

    async def ready(_request: Request) -> Response:
        states = await health.states()
        is_ready = health.is_ready(states)
        checks = {name: {"status": state} for name, state in states.items()}
        return _json(200 if is_ready else 503, {"status": OK if is_ready else UNAVAILABLE, "checks": checks})

    return [
        Route("/health/live", live, name="live"),
        Route("/health/ready", ready, name="ready"),
        Route("/health", ready, name="health"),
    ]


async def live(_request: Request) -> Response:
    """The process answers; it asks nothing else."""
    return _json(200, {"status": OK})


def _json(status: int, body: dict[str, object]) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(body), status_code=status, headers=headers, media_type="application/json")
