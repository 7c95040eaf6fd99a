"""Records and bytes that agree, for tests of what happens when they do not."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlmodel import col

from db import blobs
from db.models import Blob, Event
from db.rows import BlobRow
from domain.backends import Backends
from domain.storage_checks import CheckTerms, check_storage
from domain.storage_findings import Finding, Progress
from storage.keys import new_key, path_of
from tests.records import NOW, Bytes, Person, add_file
from tests.storage.blobs import release

NO_GRACE = timedelta(0)


class Listener:
    """Hears what a check says."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.kept: list[tuple[int, str]] = []

    async def tell(self, finding: Finding) -> None:
        self.findings.append(finding)

    async def keep(self, progress: Progress) -> None:
        self.kept.append((progress.stage, progress.position))


async def stored(backends: Backends, data: bytes, key: str | None = None) -> str:
    """Bytes that no record names."""
    writer = await backends.store.create(key or new_key())
    await writer.write(data)
    found = await writer.finish()
    await release(backends.store, found.key)
    return found.key


async def kept(backends: Backends, owner: Person, data: bytes = b"a few words\n", key: str | None = None) -> str:
    """The key of a file's bytes."""
    stored_key = await stored(backends, data, key)
    await add_file(backends.db, owner, Bytes(data, stored_key))
    return stored_key


def lying(folder: Path, key: str) -> Path:
    """Where the bytes of a blob are."""
    return folder / "blobs" / path_of(key)


def flip(folder: Path, key: str, at: int = 3) -> None:
    """Change one bit of a blob."""
    path = lying(folder, key)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


async def checked(
    backends: Backends, *, repairs: bool = False, digests: bool = False, grace: timedelta = NO_GRACE
) -> list[Finding]:
    """What a check finds."""
    listener, progress = Listener(), Progress()
    await check_storage(backends, CheckTerms(repairs, digests, grace), progress, listener)
    assert progress.left == sum(not finding.is_repaired for finding in listener.findings)
    assert progress.stage == 4
    return listener.findings


def told(findings: list[Finding]) -> set[tuple[str, str, bool]]:
    """Kind, subject, and whether it was mended."""
    return {(finding.kind, finding.subject, finding.is_repaired) for finding in findings}


async def record_of(backends: Backends, key: str) -> BlobRow | None:
    async with backends.db.reading() as rows:
        return await blobs.by_key(rows, key)


async def mark(backends: Backends, key: str, **values: object) -> None:
    """Change the record of a blob behind everybody's back."""
    async with backends.db.transaction() as tx:
        await tx.execute(update(Blob).where(col(Blob.key) == key).values(**values))


async def events_of(backends: Backends, kind: str) -> list[dict[str, str]]:
    """The details of the events of a kind."""
    async with backends.db.reading() as rows:
        found = await rows.all(select(col(Event.data)).where(col(Event.kind) == kind).order_by(col(Event.id)))
    return [row.data for row in found]


LONG_AGO = NOW - timedelta(days=30)
