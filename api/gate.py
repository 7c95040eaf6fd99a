"""The gate: GraphQL's multipart request specification, read strictly and judged before a file byte is parsed.

The endpoint authenticates from the head and checks that the request asked first (CSRF); the gate does the rest up to
execution, and the cleaning up after it.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from api.envelope import EnvelopeLimits
from db.engine import Database
from domain.policy import UploadPolicy
from domain.viewer import Viewer
from schema.execution import Executor, Prepared
from storage.store import BlobStore


@dataclass(frozen=True, slots=True)
class Incoming:
    """A multipart request: what its head says (both None where the header is absent) and its body, not yet read.

    `chunks` raises SenderGone when the connection is cut; `body_of(receive)` makes one from ASGI's `receive`.
    """

    content_type: str | None
    content_length: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class GatedOperation:
    """An operation whose files have been received or refused: ready for `Executor.execute(prepared, variables, …)`."""

    prepared: Prepared
    variables: dict[str, object]


@dataclass(frozen=True, slots=True)
class Gate:
    """Made once; every upload passes through `receive`."""

    executor: Executor
    db: Database
    store: BlobStore
    policy: UploadPolicy
    limits: EnvelopeLimits

    def receive(self, incoming: Incoming, viewer: Viewer) -> AbstractAsyncContextManager[GatedOperation]:
        """Read, judge and store one request's uploads; whatever execution did not take is removed on leaving the block.

        async with gate.receive(incoming, viewer) as operation:
            result = await executor.execute(operation.prepared, operation.variables, context)

        Entering raises EnvelopeBreach (has `status`, `code`, `message`), QueryRefused from `prepare` and `coerce`, and
        SenderGone, when nobody is left to answer. The body may not have been read to its end then, nor when the block
        is entered (all files refused): `api.parting` sees to the rest. Refusals of one file wait in its UploadSlot.
        """
        raise NotImplementedError


def body_of(receive: object) -> AsyncIterator[bytes]:
    """The body's chunks, from ASGI's `receive`. Raises SenderGone."""
    raise NotImplementedError
