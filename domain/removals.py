"""Files on their way out: rows away first, with what the ledger has to be told; their bytes follow after the commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from db import blobs, files
from db.engine import Transaction
from domain.analytics_deltas import count_changes
from domain.ledger import Change


@dataclass(frozen=True, slots=True)
class Removed:
    """Which files were there, the blobs whose bytes are to follow, and what is to be entered in the ledger."""

    file_ids: set[UUID]
    blob_keys: list[str]
    changes: list[Change]


async def remove_files(tx: Transaction, file_ids: Sequence[UUID], now: datetime) -> Removed:
    """Remove files with all their versions, whoever may see them. The caller enters the changes, as its last act."""
    gone, versions = await files.purge(tx, file_ids)
    keys = await blobs.mark_deleted(tx, sorted({version.blob_key for version in versions}), now)
    less = [
        Change(version.workspace_id, version.user_id, used=-version.size, media_type=version.media_type)
        for version in versions
    ]
    fewer = [Change(file.workspace_id, file.user_id, files=-1, media_type=file.media_type) for file in gone]
    await count_changes(tx, [*less, *fewer], now)
    return Removed({file.id for file in gone}, keys, [*less, *fewer])
