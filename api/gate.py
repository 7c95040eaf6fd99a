"""The gate: GraphQL's multipart request specification, read strictly and judged before a file byte is parsed.

The endpoint authenticates from the head and checks that the request asked first (CSRF); the gate does the rest up to
execution, and the cleaning up after it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.bodies import from_json
from api.cancellation import despite_cancellation
from api.envelope import EnvelopeBreach, EnvelopeLimits, MapInvalid, MediaTypeUnsupported, RequestTooLarge
from api.intake import Brought, Delivery, Intake
from api.multipart import MultipartReader
from api.part_heads import CHARSETS, PartHead, boundary_of, shortened
from api.upload_map import Operation, find_places, read_map
from domain.backends import Backends
from domain.events import RequestFacts
from domain.viewer import Viewer
from schema.execution import Executor, Prepared, Variables
from schema.uploads import UploadSlot, uploads_of

NO_FACTS = RequestFacts()


@dataclass(frozen=True, slots=True)
class Incoming:
    """A multipart request: what its head says (None where the header is absent) and its body, not yet read.

    `chunks` raises SenderGone when the connection is cut, as `api.bodies.body_of` does.
    """

    content_type: str | None
    content_length: int | None
    chunks: AsyncIterator[bytes]
    facts: RequestFacts = NO_FACTS


@dataclass(frozen=True, slots=True)
class GatedOperation:
    """An operation whose files have been received or refused: ready for `Executor.execute(prepared, variables, …)`."""

    prepared: Prepared
    variables: Variables


async def _allow(_prepared: Prepared) -> None:
    """Every operation."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Made once; every upload passes through `receive`."""

    executor: Executor
    backends: Backends
    limits: EnvelopeLimits

    @asynccontextmanager
    async def receive(
        self, incoming: Incoming, viewer: Viewer, allow: Callable[[Prepared], Awaitable[None]] = _allow
    ) -> AsyncIterator[GatedOperation]:
        """Read, judge and store one request's uploads; whatever execution did not take is removed on leaving the block.

        `allow` may raise once the operation is known.

        async with gate.receive(incoming, viewer) as operation:
            result = await executor.execute(operation.prepared, operation.variables, context)

        Entering raises EnvelopeBreach (has `status`, `code`, `message`), QueryRefused from `prepare` and `coerce`, and
        SenderGone, when nobody is left to answer. The body may not have been read to its end then, nor when the block
        is entered (all files refused): `api.parting` sees to the rest. Refusals of one file wait in its UploadSlot.
        """
        boundary = boundary_of(incoming.content_type)
        reader = MultipartReader(self._counted(incoming), boundary)
        operation, slots = await self._judge(reader, allow)
        brought = Brought(self.backends, viewer, incoming.facts)
        intake = Intake([Delivery(slot) for slot in slots], brought)
        await intake.admit()
        try:
            await intake.receive(reader, _files_end(incoming, boundary))
            yield operation
        finally:
            await despite_cancellation(intake.abandon())

    async def _judge(
        self, reader: MultipartReader, allow: Callable[[Prepared], Awaitable[None]]
    ) -> tuple[GatedOperation, list[UploadSlot]]:
        """Everything that can be said before a file part begins, and without the database."""
        raw = await _field(reader, "operations", self.limits.operations_bytes)
        given = from_json(raw, "The part “operations”")
        prepared = self.executor.prepare(given.query, given.operation_name)
        await allow(prepared)
        mapping = read_map(await _field(reader, "map", self.limits.map_bytes))
        places = find_places(
            Operation(self.executor.schema, prepared.operation, prepared.variable_uses),
            given.variables,
            mapping,
            self.backends.ports.policy.maximum_files,
        )
        slots = [UploadSlot(place.part_name) for place in places]
        for place, slot in zip(places, slots, strict=True):
            place.fill(slot)
        coerced = self.executor.coerce(prepared, given.variables)
        consumed = {id(slot) for slot in uploads_of(self.executor.schema, prepared, coerced)}
        for place, slot in zip(places, slots, strict=True):
            if id(slot) not in consumed:
                raise MapInvalid(f"The operation does not read the file at {shortened(place.path)}.")
        return GatedOperation(prepared, coerced), slots

    async def _counted(self, incoming: Incoming) -> AsyncIterator[bytes]:
        limit = self.limits.request_bytes
        if incoming.content_length is not None and incoming.content_length > limit:
            raise RequestTooLarge(f"The request has {incoming.content_length} bytes; {limit} are allowed.")
        received = 0
        async for chunk in incoming.chunks:
            received += len(chunk)
            if received > limit:
                raise RequestTooLarge(f"The request is larger than {limit} bytes.")
            yield chunk


async def _field(reader: MultipartReader, name: str, limit: int) -> bytes:
    head = await reader.next()
    if not isinstance(head, PartHead):
        raise EnvelopeBreach(f"The request ends before the part “{name}”.")
    if head.name != name:
        raise EnvelopeBreach(f"{head} comes where “{name}” must: “operations” first, “map” second, then the files.")
    if head.charset is not None and head.charset not in CHARSETS:
        raise MediaTypeUnsupported(f"{head} is not in UTF-8.")
    return await reader.field(limit)


def _files_end(incoming: Incoming, boundary: bytes) -> int | None:
    # Clients end with the final boundary and a line break; an epilogue, which nobody sends, would count as file bytes.
    return None if incoming.content_length is None else incoming.content_length - len(boundary) - len("\r\n----\r\n")
