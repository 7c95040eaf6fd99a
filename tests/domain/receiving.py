"""Uploads on their way in, for tests of what may go wrong with them."""

import asyncio
from dataclasses import replace
from math import inf
from typing import Any

from sqlalchemy import text, update
from sqlmodel import col

from db import quotas, uploads
from db.engine import Database
from db.models import Upload, UploadTransport
from db.rows import FileRow, UploadRow
from domain.backends import Backends
from domain.completions import complete_upload
from domain.errors import Refusal
from domain.new_files import Upload as Arrivals
from domain.new_files import create_files
from domain.pieces import Piece
from domain.receptions import Reception
from domain.upload_sessions import NewUpload, admit_upload, create_upload
from domain.uploads import Admission, Receiver, Replaced, UploadIntent
from storage.disk import DiskStore
from storage.store import PartialWriter, StoreError
from tests.records import uncounted
from tests.scenes import FACTS, Scene


class Faulty(DiskStore):
    """A store on disk that fails where it is told to."""

    failing: str = ""
    failures: float = inf
    error: StoreError = StoreError("broken")

    async def create(self, key: str) -> Any:
        self.fail("create")
        return await super().create(key)

    async def extend(self, key: str, position: int, told: int = 0) -> Any:
        self.fail("extend")
        return Hesitant(await super().extend(key, position, told), self)

    async def finish(self, key: str, size: int) -> Any:
        self.fail("finish")
        return await super().finish(key, size)

    async def delete(self, key: str) -> None:
        self.fail("delete")
        await super().delete(key)

    async def reach(self, key: str, told: int = 0) -> int:
        self.fail("reach")
        return await super().reach(key, told)

    async def is_extended(self, key: str) -> bool:
        self.fail("is_extended")
        return await super().is_extended(key)

    def fail(self, at: str) -> None:
        if at == self.failing and self.failures > 0:
            self.failures -= 1
            raise self.error


class Hesitant:
    """A writer that fails where its store says so."""

    def __init__(self, writer: PartialWriter, store: Faulty) -> None:
        self._writer = writer
        self._store = store

    @property
    def position(self) -> int:
        return self._writer.position

    async def write(self, data: bytes) -> None:
        self._store.fail("write")
        await self._writer.write(data)

    async def close(self, keep: int | None = None) -> int:
        reach = await self._writer.close(keep)
        self._store.fail("close")
        return reach - 1 if self._store.failing == "last byte" else reach


async def announced(
    backends: Backends,
    scene: Scene,
    size: int | None = 11,
    transport: UploadTransport = UploadTransport.TUS,
    by: str = "owner",
) -> UploadRow:
    new = NewUpload(UploadIntent(name="a.txt", workspace_id=scene.workspace_id), transport, size)
    admission = await admit_upload(scene.db, backends.ports, scene.viewer(by), new)
    async with scene.db.transaction() as tx:
        return await create_upload(tx, backends.ports, scene.viewer(by), (new, admission), FACTS)


async def brought(
    backends: Backends, scene: Scene, data: bytes, replaces: Replaced | None = None, by: str = "owner"
) -> FileRow | Refusal:
    """What becomes of bytes that somebody brings to the shared workspace in one request."""
    admission = Admission(scene.workspace_id, "a", None, None, 10**9, replaces=replaces)
    receiver = await Receiver.begin(backends.store, admission, uncounted())
    await receiver.write(data)
    arrivals = Arrivals(backends.ports, scene.viewer(by), FACTS, [await receiver.finish()])
    [outcome] = await create_files(backends.db, backends.store, arrivals)
    return outcome


async def sent(reception: Reception, data: bytes = b"hello world") -> UploadRow:
    await reception.open()
    try:
        await reception.write(data)
    except Refusal:
        await reception.cut()
        raise
    return await reception.end()


async def piece(backends: Backends, upload: UploadRow, data: bytes = b"hello world") -> UploadRow:
    return await sent(Piece(backends, upload, upload.received, len(data)), data)


async def completed(backends: Backends, scene: Scene, upload: UploadRow) -> UploadRow:
    return await complete_upload(backends, scene.viewer("owner"), upload, FACTS)


async def now_of(db: Database, upload: UploadRow) -> UploadRow:
    async with db.transaction() as tx:
        found = await uploads.lock(tx, upload.id)
    assert found is not None
    return found


async def changed(db: Database, upload: UploadRow, **values: object) -> UploadRow:
    async with db.transaction() as tx:
        await tx.execute(update(Upload).where(col(Upload.id) == upload.id).values(**values))
    return await now_of(db, upload)


async def is_exact(db: Database) -> bool:
    async with db.reading() as rows:
        return await quotas.differences(rows) == []


def slow_to_verify(backends: Backends) -> Backends:
    policy = replace(backends.ports.upload_sessions, verified_at_once_bytes=1)
    return replace(backends, ports=replace(backends.ports, upload_sessions=policy))


async def until_somebody_waits(db: Database) -> None:
    """Return once a statement on PostgreSQL waits for a lock that another transaction has."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with db.reading() as rows:
        while not await rows.scalar(waiting):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.01)
