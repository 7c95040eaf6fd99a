"""Whether records and bytes agree: compared key by key while the service runs, and mended where that is safe.

What looks wrong at first may only be under way. So it is asked again, in the order that bytes and records come and go,
before it is said or mended. A record whose bytes are missing is never removed.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeAlias
from uuid import UUID

from db import blobs, quotas, uploads
from db.models import BlobDamage, QuotaKind
from db.quotas import Entry as Line
from db.rows import BlobRow
from domain import damages, orphans
from domain.backends import Backends
from domain.blobs import remove
from domain.storage_comparison import Pair, pairs
from domain.storage_findings import Finding, FindingKind, Progress
from domain.upload_sweeps import expire, verify_after_all
from storage.store import Entry, StoreError

OVERDUE_AFTER = timedelta(hours=1)
"""What a sweep would have done by then, if there was one, is a finding."""
BATCH = 100
MOST_MISSING = 100
"""When so many in a row are missing, it is not they that are lost."""
_FIRST = UUID(int=0)
_Mend: TypeAlias = Callable[[], Awaitable[bool]]
_Remove: TypeAlias = Callable[[Backends, str, datetime], Awaitable[bool]]
_DAMAGES = {
    BlobDamage.MISSING: (FindingKind.MISSING, "The bytes of a file are not there."),
    BlobDamage.SIZE: (FindingKind.SIZE_MISMATCH, "A file has more or fewer bytes than came in."),
    BlobDamage.DIGEST: (FindingKind.DIGEST_MISMATCH, "The bytes of a file are not those that came in."),
    BlobDamage.UNREADABLE: (FindingKind.UNREADABLE, "The disk cannot read the bytes of a file."),
}


@dataclass(frozen=True, slots=True)
class CheckTerms:
    """What a check is to do: mend what it safely can, read all bytes, and how long orphans are let alone."""

    repairs: bool
    digests: bool
    orphan_grace: timedelta


class Witness(Protocol):
    """Who follows a check."""

    async def tell(self, finding: Finding) -> None:
        """Something was found."""
        ...

    async def keep(self, progress: Progress) -> None:
        """From here the check could go on. Asked often: it need not be kept each time, but at a stage's end."""
        ...


async def check_storage(backends: Backends, terms: CheckTerms, progress: Progress, witness: Witness) -> None:
    """Compare everything that is recorded with everything that is there, from where the progress stands.

    Raises StoreError, and whatever the witness raises.
    """
    async with backends.db.reading() as rows:
        if progress.stage == 0:
            progress.blobs_total = await blobs.count(rows)
        may_remove = terms.repairs and await orphans.is_ours(rows)
    check = _Check(backends, terms, progress, witness, may_remove=may_remove)
    stages = (check.compare_blobs, check.look_for_strays, check.look_for_stale_uploads, check.compare_ledger)
    for number, look in enumerate(stages):
        if progress.stage == number:
            await look()
            progress.stage, progress.position = number + 1, ""
            await witness.keep(progress)


class _Check:
    def __init__(
        self, backends: Backends, terms: CheckTerms, progress: Progress, witness: Witness, *, may_remove: bool
    ) -> None:
        self._backends = backends
        self._terms = terms
        self._progress = progress
        self._witness = witness
        self._may_remove = may_remove
        self._suspects: list[Entry] = []
        self._missing = 0

    async def compare_blobs(self) -> None:
        db, store = self._backends.db, self._backends.store
        passed = 0
        async with aclosing(pairs(db, store, self._progress.position)) as found:
            async for pair in found:
                await self._judge(pair)
                self._progress.blobs_seen += pair.record is not None
                passed += 1
                if passed % BATCH == 0:
                    await self._look_at_suspects()
                if not self._suspects:
                    self._progress.position = pair.key
                    await self._witness.keep(self._progress)
        await self._look_at_suspects()

    async def look_for_strays(self) -> None:
        grace = self._terms.orphan_grace.total_seconds()
        async with aclosing(self._backends.store.incoming()) as batches:
            async for batch in batches:
                aged = [entry for entry in batch if entry.age_seconds >= grace]
                for entry in await orphans.strays_among(self._backends, aged):
                    sentence = "Unfinished bytes of no upload."
                    finding = Finding(FindingKind.STRAY, entry.key, sentence, entry.size)
                    await self._found(finding, self._removal(orphans.remove_stray, entry.key))

    async def look_for_stale_uploads(self) -> None:
        after = _FIRST
        before = self._backends.ports.clock.now() - OVERDUE_AFTER
        while True:
            async with self._backends.db.reading() as rows:
                found = await uploads.stale(rows, before, after, BATCH)
            if not found:
                return
            for upload_id, received in found:
                sentence = "An upload should have ended long ago."
                finding = Finding(FindingKind.STALE_UPLOAD, upload_id.hex, sentence, received)
                await self._found(finding, partial(self._end, upload_id) if self._terms.repairs else None)
            after = found[-1][0]

    async def compare_ledger(self) -> None:
        async with self._backends.db.reading() as rows:
            suspects = await quotas.differences(rows)
        for suspect in suspects:
            async with self._backends.db.transaction() as tx:
                await quotas.lock(tx, [suspect.owner_id])
                differing = await quotas.differences(tx, [suspect.owner_id])
                if self._terms.repairs:
                    await quotas.post(tx, differing)
            for line in differing:
                await self._found(_difference(line), _done if self._terms.repairs else None)

    async def _judge(self, pair: Pair) -> None:
        record, entry = pair
        if record is None:
            if entry is not None and entry.age_seconds >= self._terms.orphan_grace.total_seconds():
                self._suspects.append(entry)
        elif record.store != self._backends.store.name:
            return
        elif record.deleted_at is not None:
            await self._judge_removed(record, entry)
        elif entry is None or entry.size != record.size or record.damage is not None or self._terms.digests:
            damage = await damages.examine(self._backends, record, self._pace)
            self._judge_disk(damage)
            if damage is not None:
                kind, sentence = _DAMAGES[damage]
                await self._found(Finding(kind, record.key, sentence, record.size), None)

    def _judge_disk(self, damage: BlobDamage | None) -> None:
        self._missing = self._missing + 1 if damage is BlobDamage.MISSING else 0
        if self._missing == MOST_MISSING:
            raise StoreError(f"{MOST_MISSING} blobs in a row are missing: is the disk there that they are on?")

    async def _judge_removed(self, record: BlobRow, entry: Entry | None) -> None:
        now = self._backends.ports.clock.now()
        if entry is None or record.deleted_at is None or record.deleted_at > now - OVERDUE_AFTER:
            return
        if await self._backends.store.measure(record.key) is None:
            return

        sentence = "Bytes that were to be removed long ago are still there."
        finding = Finding(FindingKind.UNPURGED, record.key, sentence, entry.size)
        await self._found(finding, partial(self._purge, record.key) if self._terms.repairs else None)

    async def _look_at_suspects(self) -> None:
        suspects, self._suspects = self._suspects, []
        for entry in await orphans.orphans_among(self._backends, suspects) if suspects else ():
            sentence = "Bytes that no record names."
            finding = Finding(FindingKind.ORPHANED, entry.key, sentence, entry.size)
            await self._found(finding, self._removal(orphans.remove_orphan, entry.key))

    def _removal(self, removing: _Remove, key: str) -> _Mend | None:
        return partial(removing, self._backends, key, self._backends.ports.clock.now()) if self._may_remove else None

    async def _purge(self, key: str) -> bool:
        return key in await remove(self._backends.db, self._backends.store, [key])

    async def _end(self, upload_id: UUID) -> bool:
        now = self._backends.ports.clock.now()
        is_expired = await expire(self._backends, upload_id, now)
        return is_expired or await verify_after_all(self._backends, upload_id, now - OVERDUE_AFTER)

    async def _pace(self, count: int) -> None:
        self._progress.bytes_hashed += count
        if not self._suspects:
            await self._witness.keep(self._progress)

    async def _found(self, finding: Finding, mend: _Mend | None) -> None:
        is_repaired = mend is not None and await mend()
        told = replace(finding, is_repaired=is_repaired)
        self._progress.add(told)
        await self._witness.tell(told)


async def _done() -> bool:
    return True


def _difference(line: Line) -> Finding:
    whose = "workspace" if line.kind is QuotaKind.WORKSPACE else "user"
    sentence = (
        f"The ledger of a {whose} lacks {line.used} bytes used, {line.reserved} reserved and {line.files} files; "
        "below zero, it has more than there is."
    )
    return Finding(FindingKind.LEDGER_DIFFERENCE, line.owner_id.hex, sentence)
