"""What a store can do besides, if clients reach it by themselves: take bytes that do not come through this service.

Nothing here implements it yet. A store says that it can by having these methods: whoever needs them asks with
`isinstance`, as for `LocalFiles`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from storage.store import Stored


@dataclass(frozen=True, slots=True)
class DirectTarget:
    """Where a client sends bytes: by this method, to this URL, with these headers and no others, before it expires."""

    method: str
    url: str
    headers: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that a client says it has sent: its number, from 1, and what the store answered it with."""

    number: int
    tag: str


@runtime_checkable
class DirectTargets(Protocol):
    """Targets in the store itself, signed by this service.

    The store guarantees that a target takes exactly `size` bytes, or none, and nothing once it has expired. It does
    not guarantee that a target is used once, nor that it ends before it expires: until then, bytes under a key may be
    replaced by whoever has the target. So the caller signs keys that nothing points at yet, and lets a row point at
    what `settle_target` or `complete_parts` has moved to another key, and summed up there, which no target reaches.

    The caller has a row that names the key, and the parts, before it gives a target away, and ends what it began.
    Methods that take a key raise ValueError for anything else, and StoreError.
    """

    @property
    def smallest_part_bytes(self) -> int:
        """Every part but the last has at least so many bytes."""
        ...

    @property
    def most_parts(self) -> int:
        """A blob has at most so many parts."""
        ...

    async def sign_target(self, key: str, size: int, expires_at: datetime) -> DirectTarget:
        """Where all bytes of a blob go, in one request."""
        ...

    async def settle_target(self, source: str, key: str, size: int) -> Stored:
        """Make a blob of what came to the target of another key, the source; the same again for who asks again.

        Raises BlobMissing, WrongPosition when it is not `size` bytes, and then nothing has changed.
        """
        ...

    async def begin_parts(self, key: str) -> str:
        """Let a blob come in parts; what the store calls that, for the row to keep."""
        ...

    async def sign_part(self, key: str, parts: str, part: tuple[int, int], expires_at: datetime) -> DirectTarget:
        """Where a part goes: its number, from 1, and its size. Sent again before the end, it replaces itself."""
        ...

    async def sent_parts(self, key: str, parts: str) -> Sequence[SentPart]:
        """What has come so far, in the order of the numbers."""
        ...

    async def complete_parts(self, key: str, parts: str, sent: Sequence[SentPart], size: int) -> Stored:
        """Make a blob of parts, durable and visible, and sum it up; the same again for whoever asks again.

        Raises BlobMissing when a part did not come so, and WrongPosition when together they are not `size` bytes.
        """
        ...

    async def abort_parts(self, key: str, parts: str) -> None:
        """Remove what came of it. Parts that are being sent just now may outlast it: ask again later. Idempotent."""
        ...
