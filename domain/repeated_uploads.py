"""Uploads by `uploadFile` that are sent again under their key: their bytes are compared, and not stored once more."""

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from typing import Self
from uuid import UUID

from db import versions
from db.engine import Database
from db.rows import VersionRow
from domain.files import writable_file
from domain.idempotency import Asked, gone, key_reused, recall
from domain.ports import Ports
from domain.rates import Allowance
from domain.viewer import Viewer

IN_LOOP_BYTES = 16 << 10
"""Up to so many bytes are digested in the event loop: a thread would cost more."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """An upload that has been answered: the file that it became, or became a version of."""

    file_id: UUID


async def uploaded_before(db: Database, ports: Ports, viewer: Viewer, asked: Asked | None) -> VersionRow | None:
    """The version that the same request made within a day; None if it made none.

    Raises IdempotencyKeyReused, NotFound when it is gone, and Forbidden when the viewer may not upload there any more.
    """
    if asked is None:
        return None
    async with db.reading() as rows:
        version_id = await recall(rows, asked, ports.clock.now())
        if version_id is None:
            return None
        found = await versions.by_ids(rows, asked.user_id, [version_id])
        if not found:
            raise gone()
        await writable_file(rows, viewer, found[0].file_id)
    return found[0]


class Comparison:
    """One upload's bytes against those that came before. It has the methods of a `domain.uploads.Receiver`."""

    def __init__(self, version: VersionRow, allowance: Allowance) -> None:
        self._version = version
        self._allowance = allowance
        self._digest = sha256()
        self._size = 0

    @classmethod
    async def begin(cls, version: VersionRow, allowance: Allowance, declared_size: int | None) -> Self:
        """Let bytes come. Raises RateLimited."""
        await allowance.begin(declared_size)
        return cls(version, allowance)

    async def write(self, data: bytes) -> None:
        """Take the next bytes. Raises IdempotencyKeyReused as soon as there are more than before, and RateLimited."""
        self._size += len(data)
        if self._size > self._version.size:
            await self.abandon()
            raise key_reused()
        await self._allowance.grow(self._size)
        if len(data) > IN_LOOP_BYTES:
            await asyncio.to_thread(self._digest.update, data)
        else:
            self._digest.update(data)

    async def finish(self) -> Repeated:
        """All bytes have come. Raises IdempotencyKeyReused unless they are those that came before, and RateLimited."""
        await self._allowance.finish(self._size)
        if self._digest.hexdigest() != self._version.digest:
            raise key_reused()
        return Repeated(self._version.file_id)

    async def abandon(self) -> None:
        """Count what came. May be called at any time, also again."""
        await self._allowance.abandon(self._size)
