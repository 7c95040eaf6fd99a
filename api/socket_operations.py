"""The operations of one WebSocket: begun by `subscribe`, each with answers of its own, ended by either side."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

from api.bodies import Parameters, PersistedQueryUnknown, RequestInvalid, parameters_of
from api.guards import Guard
from api.operations import Asker, Operations
from api.socket_messages import Close, SocketMessage, answer_of, completed, errors_of, is_taken
from domain.errors import BadCredential, Refusal
from domain.stream_errors import TooManyStreams
from schema.answers import Report, fault_body, refused
from schema.execution import QueryRefused

Tell = Callable[[str], Awaitable[None]]


class SocketGone(Exception):  # noqa: N818 - a fact, named as such
    """The client has gone, or was dropped since it takes its messages too slowly."""


class SocketOperations:
    """What is under way on a connection. `tell` sends a message and waits until it is taken; it raises SocketGone."""

    def __init__(self, operations: Operations, asker: Asker, guard: Guard, tell: Tell, report: Report) -> None:
        self._operations = operations
        self._asker = asker
        self._guard = guard
        self._tell = tell
        self._report = report
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, message: SocketMessage, maximum: int) -> None:
        """Begin an operation. Raises Close where the protocol is broken; one too many is refused, and nothing else."""
        operation_id = message.id
        if operation_id in self._tasks:
            raise is_taken(operation_id)
        try:
            given = parameters_of(dict(message.payload))
        except RequestInvalid as breach:
            raise Close(4400, breach.message) from None
        except PersistedQueryUnknown as breach:
            await self._tell(
                errors_of(operation_id, [{"message": breach.message, "extensions": {"code": breach.code}}])
            )
            return
        if len(self._tasks) >= maximum:
            sentence = f"{maximum} operations are under way on this connection, which is as many as one may have."
            await self._refuse(operation_id, TooManyStreams(message=sentence, maximum=maximum))
            return
        task = asyncio.create_task(self._run(operation_id, given))
        self._tasks[operation_id] = task
        task.add_done_callback(partial(self._forget, operation_id))  # which does not keep the message

    def stop(self, operation_id: str) -> None:
        """End an operation that the client does not want any more; it may have ended already."""
        task = self._tasks.pop(operation_id, None)
        if task is not None:
            task.cancel()

    async def end(self) -> None:
        """End all of them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _forget(self, operation_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(operation_id) is task:
            del self._tasks[operation_id]

    async def _run(self, operation_id: str, given: Parameters) -> None:
        # Whoever reads from the connection learns of the one, and the guard of the other.
        with suppress(SocketGone, BadCredential):
            await self._answer_or_refuse(operation_id, given)

    async def _answer_or_refuse(self, operation_id: str, given: Parameters) -> None:
        facts = self._operations.facts_of(self._asker.scope)
        try:
            await self._answer(operation_id, given)
        except (SocketGone, BadCredential):
            raise
        except QueryRefused as refusal:
            self._operations.count_early_end(refusal)
            await self._tell(errors_of(operation_id, [error.formatted for error in refusal.errors]))
        except Refusal as refusal:
            self._operations.count_early_end(refusal)
            await self._refuse(operation_id, refusal)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it ends this operation and no other
            self._operations.count_early_end(fault)
            self._report(fault)
            await self._tell(errors_of(operation_id, fault_body(fault, facts.request_id)["errors"]))

    async def _answer(self, operation_id: str, given: Parameters) -> None:
        operations, asker = self._operations, self._asker
        await self._guard.require()
        await operations.counting.request(asker.scope, asker.viewer)
        prepared, variables = await operations.prepare(given, asker)
        async with aclosing(operations.answers(prepared, variables, asker)) as answers:
            async for answer in answers:
                await self._guard.require()
                if "data" not in answer:
                    await self._tell(errors_of(operation_id, answer["errors"]))
                    return
                await self._tell(answer_of(operation_id, answer))
        await self._tell(completed(operation_id))

    async def _refuse(self, operation_id: str, refusal: Refusal) -> None:
        errors: Iterable[Mapping[str, Any]] = [refused(refusal).formatted]
        await self._tell(errors_of(operation_id, errors))
