"""Blobs whose bytes are lost or not what came in: noted once, told as events of their files, and cleared again.

The bytes of such a blob are given to nobody: see `domain.downloads`. Nothing here removes anything.
"""

import logging
from datetime import datetime

from db import blobs, files
from db.engine import Database
from db.files import HeldVersion
from db.models import BlobDamage, Event
from db.rows import BlobRow
from domain.backends import Backends
from domain.events import EventKind, RequestFacts, Subject, event_values
from storage.store import BlobMissing, BlobUnreadable, Pace, ResumableStore

_log = logging.getLogger(__name__)


async def examine(backends: Backends, blob: BlobRow, pace: Pace) -> BlobDamage | None:
    """Read all bytes of a blob that is wanted, and note what is wrong with them, or that nothing is; and that.

    None also for a blob that is not wanted any more. Raises StoreError when it cannot be read, and whatever `pace`
    raises.
    """
    damage = await _damage_of(backends.store, blob, pace)
    now = backends.ports.clock.now()
    if damage is None:
        async with backends.db.transaction() as tx:
            await blobs.note_verified(tx, blob.key, now)
    elif not await _is_wanted(backends.db, blob.key):
        return None
    if damage != blob.damage:
        await _say(backends.db, blob.key, damage, now)
    return damage


async def _damage_of(store: ResumableStore, blob: BlobRow, pace: Pace) -> BlobDamage | None:
    size = await store.measure(blob.key)
    if size is None:
        return BlobDamage.MISSING
    if size != blob.size:
        return BlobDamage.SIZE
    try:
        found = await store.sum_up(blob.key, pace)
    except BlobMissing:
        return BlobDamage.MISSING
    except BlobUnreadable:
        return BlobDamage.UNREADABLE
    is_right = (found.size, found.digest, found.crc32) == (blob.size, blob.digest, blob.crc32)
    return None if is_right else BlobDamage.DIGEST


async def _is_wanted(db: Database, key: str) -> bool:
    # Asked after the bytes were looked at: they go only after their row was marked.
    async with db.reading() as rows:
        blob = await blobs.by_key(rows, key)
    return blob is not None and blob.deleted_at is None


async def _say(db: Database, key: str, damage: BlobDamage | None, now: datetime) -> None:
    kind = EventKind.FILE_MENDED if damage is None else EventKind.FILE_DAMAGED
    async with db.transaction() as tx:
        if not await blobs.set_damage(tx, key, damage):
            return
        subjects = [_subject(version, damage) for version in await files.versions_of_blob(tx, key)]
        if subjects:
            await tx.insert(Event, [event_values(kind, subject, RequestFacts(), now) for subject in subjects])
    if damage is None:
        _log.warning("blob %s is whole again", key)
    else:
        _log.error("blob %s is damaged: %s", key, damage)


def _subject(version: HeldVersion, damage: BlobDamage | None) -> Subject:
    data = {"versionId": str(version.id)} | ({"damage": str(damage)} if damage else {})
    return Subject(workspace_id=version.workspace_id, target_id=version.file_id, size=version.size, data=data)
