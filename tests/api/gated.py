"""A gate between the real schema, rules and database and a store in memory."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import cast

from api.envelope import EnvelopeLimits
from api.gate import Gate, Incoming
from db.engine import Database
from domain.backends import Backends
from domain.errors import Refusal
from domain.policy import Rates, UploadPolicy
from domain.repeated_uploads import Repeated
from domain.uploads import Received
from domain.viewer import Viewer
from schema.execution import Executor
from schema.pricing import QueryLimits
from schema.schema import build_schema
from schema.uploads import UploadSlot, uploads_of
from storage.store import ResumableStore
from tests.api.bodies import CONTENT_TYPE, UPLOAD_ONE, json_part, operations, stream
from tests.api.memory import MemoryStore
from tests.records import MovableClock, add_person, make_ports

FILE_LIMIT = 1000
REQUEST_LIMIT = 5000
MAP_ONE = json_part("map", {"0": ["variables.file"]})
ONE = [operations(UPLOAD_ONE, {"file": None}), MAP_ONE]


@dataclass(frozen=True, slots=True)
class Scene:
    """A gate with what it stands between."""

    gate: Gate
    store: MemoryStore
    viewer: Viewer


@asynccontextmanager
async def scene_on(database_url: str, rates: Rates | None = None) -> AsyncIterator[Scene]:
    policy = UploadPolicy(FILE_LIMIT, 3, frozenset({"txt"}), frozenset({"exe"}))
    db = Database(database_url)
    person = await add_person(db, "ada")
    store = MemoryStore()
    gate = Gate(
        Executor(build_schema(), QueryLimits(), lambda _error: None),
        Backends(db, cast("ResumableStore", store), replace(make_ports(MovableClock(), rates), policy=policy)),
        EnvelopeLimits(REQUEST_LIMIT, operations_bytes=1500, map_bytes=300),
    )
    try:
        yield Scene(gate, store, Viewer(person.id))
    finally:
        await db.close()


def incoming(pieces: Iterable[bytes], length: int | None = None, content_type: str = CONTENT_TYPE) -> Incoming:
    return Incoming(content_type, length, stream(pieces))


@asynccontextmanager
async def received(scene: Scene, given: Incoming, viewer: Viewer | None = None) -> AsyncIterator[list[UploadSlot]]:
    async with scene.gate.receive(given, viewer or scene.viewer) as operation:
        yield uploads_of(scene.gate.executor.schema, operation.prepared, operation.variables)


async def outcomes(
    scene: Scene, given: Incoming, viewer: Viewer | None = None
) -> list[Received | Repeated | Refusal | None]:
    async with received(scene, given, viewer) as slots:
        found = [slot.outcome for slot in slots]
    assert scene.store.is_empty
    return found


def take(slot: UploadSlot) -> Received:
    """The bytes in a slot, which are there."""
    taken = slot.take()
    assert isinstance(taken, Received)
    return taken
