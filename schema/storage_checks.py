"""Checks of the storage, as administrators see them."""

from enum import Enum
from typing import Any

import strawberry

from db.rows import StorageCheckRow
from schema.ids import Prefix, encode
from schema.nodes import Node
from schema.scalars import ByteCount, DateTime


@strawberry.enum(description="Where a check stands.")
class StorageCheckState(Enum):
    """The states of checks."""

    WAITING = strawberry.enum_value("WAITING", description="It is asked for, and no worker has begun.")
    RUNNING = strawberry.enum_value("RUNNING", description="It is under way.")
    DONE = strawberry.enum_value("DONE", description="It has compared everything.")
    FAILED = strawberry.enum_value("FAILED", description="It was given up after many attempts; the log says why.")


@strawberry.enum(description="What a check finds. New kinds may be added.")
class StorageFindingKind(Enum):
    """The names of `domain.storage_findings.FindingKind`."""

    MISSING = strawberry.enum_value("MISSING", description="The bytes of a file are not there. Restore them.")
    SIZE_MISMATCH = strawberry.enum_value("SIZE_MISMATCH", description="A file has more or fewer bytes than came in.")
    DIGEST_MISMATCH = strawberry.enum_value(
        "DIGEST_MISMATCH", description="A file has other bytes than came in: the disk has changed them."
    )
    UNREADABLE = strawberry.enum_value("UNREADABLE", description="The disk cannot read the bytes of a file.")
    ORPHANED = strawberry.enum_value("ORPHANED", description="Bytes that no record names, and that lie there for long.")
    STRAY = strawberry.enum_value("STRAY", description="Unfinished bytes that no upload goes on with.")
    UNPURGED = strawberry.enum_value("UNPURGED", description="Bytes that were to be removed are still there.")
    STALE_UPLOAD = strawberry.enum_value("STALE_UPLOAD", description="An upload should have ended long ago.")
    LEDGER_DIFFERENCE = strawberry.enum_value(
        "LEDGER_DIFFERENCE", description="The ledger of a workspace or user is not what lies there."
    )


@strawberry.type(description="How often something was found.")
class StorageFindingCount:
    """See `domain.storage_findings.Progress`."""

    kind: StorageFindingKind = strawberry.field(description="What was found.")
    found: int = strawberry.field(description="How often.")
    repaired: int = strawberry.field(description="How many of them were repaired.")


@strawberry.type(description="Something that is not as it should be.")
class StorageFinding:
    """See `domain.storage_findings.Finding`."""

    kind: StorageFindingKind = strawberry.field(description="What was found.")
    subject: str = strawberry.field(
        description="The key of the bytes; of an upload, workspace or user what follows the prefix of its id."
    )
    detail: str = strawberry.field(description="A sentence for a person.")
    size: ByteCount | None = strawberry.field(description="The bytes that it is about, where that is known.")
    repaired: bool = strawberry.field(description="Whether it was repaired.")


@strawberry.type(description="A comparison of what is recorded with what is stored.")
class StorageCheck(Node):
    """A check."""

    state: StorageCheckState = strawberry.field(description="Where it stands.")
    repair: bool = strawberry.field(description="Whether it mends what can safely be mended.")
    digests: bool = strawberry.field(description="Whether it reads the bytes of all files again.")
    created_at: DateTime = strawberry.field(description="When it was asked for.")
    started_at: DateTime | None = strawberry.field(description="When a worker began; null before.")
    ended_at: DateTime | None = strawberry.field(description="When it ended; null before.")
    blobs_seen: int = strawberry.field(description="How many records have been compared so far.")
    blobs_total: int = strawberry.field(description="How many there were when it began.")
    bytes_hashed: ByteCount = strawberry.field(description="How many bytes have been read again so far.")
    counts: list[StorageFindingCount] = strawberry.field(description="What was found so far, by kind.")
    findings: list[StorageFinding] = strawberry.field(description="The first 100 of it.")


def storage_check_of(row: StorageCheckRow) -> StorageCheck:
    """The check of a row."""
    return StorageCheck(
        id=encode(Prefix.STORAGE_CHECK, row.id),
        state=StorageCheckState[row.state],
        repair=row.repairs,
        digests=row.digests,
        created_at=DateTime(row.created_at),
        started_at=None if row.started_at is None else DateTime(row.started_at),
        ended_at=None if row.ended_at is None else DateTime(row.ended_at),
        blobs_seen=row.blobs_seen,
        blobs_total=row.blobs_total,
        bytes_hashed=ByteCount(row.bytes_hashed),
        counts=[
            StorageFindingCount(kind=StorageFindingKind[kind], found=found, repaired=repaired)
            for kind, (found, repaired) in sorted(row.counts.items())
        ],
        findings=[_finding_of(kept) for kept in row.findings],
    )


def _finding_of(kept: dict[str, Any]) -> StorageFinding:
    return StorageFinding(
        kind=StorageFindingKind[kept["kind"]],
        subject=kept["subject"],
        detail=kept["detail"],
        size=None if kept["size"] is None else ByteCount(kept["size"]),
        repaired=kept["is_repaired"],
    )
