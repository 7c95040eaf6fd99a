"""Checks of the storage that administrators ask for: done by a job, one at a time, and looked at while they last.

A check goes on where it was when its process dies. What it does stands in `domain.storage_checks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from db import storage_checks
from db.engine import Rows, Transaction
from db.models import StorageCheck, StorageCheckState
from db.questions import Page, Window
from db.rows import JobRow, StorageCheckRow
from domain.backends import Backends
from domain.events import EventKind, RequestFacts, Subject, event
from domain.jobs import NewJob, enqueue
from domain.policy import StoragePolicy
from domain.ports import Ports
from domain.scopes import Scope
from domain.storage_checks import CheckTerms, check_storage
from domain.storage_findings import Finding, Progress
from domain.viewer import Viewer

CHECK_JOB = "storage.check"
KEPT_EVERY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class NewCheck:
    """What a check is to do besides comparing: mend what it safely can, and read all bytes again."""

    repairs: bool
    digests: bool


async def request_check(
    tx: Transaction, ports: Ports, viewer: Viewer, new: NewCheck, facts: RequestFacts
) -> StorageCheckRow:
    """Have the storage checked; the check that is under way, whatever it does, if there is one.

    Raises NotSignedIn, ScopeMissing and AdministratorsOnly.
    """
    user_id, now = viewer.administering(), ports.clock.now()
    # What is live all the same may have lost its job.
    await storage_checks.fail_abandoned(tx, CHECK_JOB, now)
    check = StorageCheck(
        requested_by_id=user_id, repairs=new.repairs, digests=new.digests, created_at=now, updated_at=now
    )
    while not await storage_checks.add(tx, check):
        under_way = await storage_checks.live(tx)
        if under_way is not None:
            return under_way
    await enqueue(tx, NewJob(CHECK_JOB, {"checkId": check.id.hex}, now))
    data = {"repair": new.repairs, "digests": new.digests}
    await tx.add(event(EventKind.STORAGE_CHECK_REQUESTED, Subject(user_id, target_id=check.id, data=data), facts, now))
    [row] = await storage_checks.by_ids(tx, [check.id])
    return row


async def by_ids(rows: Rows, viewer: Viewer, check_ids: Sequence[UUID]) -> list[StorageCheckRow]:
    """Those of the checks that the viewer may see: administrators all, others none. Raises ScopeMissing."""
    viewer.known(Scope.ADMIN)
    return await storage_checks.by_ids(rows, check_ids) if viewer.is_admin else []


async def page(rows: Rows, viewer: Viewer, window: Window) -> Page[StorageCheckRow]:
    """A window of all checks, the newest first. Raises NotSignedIn, ScopeMissing and AdministratorsOnly."""
    viewer.administering()
    return await storage_checks.page(rows, window)


async def count(rows: Rows, viewer: Viewer) -> int:
    """How many checks there are. Raises NotSignedIn, ScopeMissing and AdministratorsOnly."""
    viewer.administering()
    return await storage_checks.count(rows)


async def check_by_job(backends: Backends, policy: StoragePolicy, job: JobRow) -> None:
    """The job that does a check, from where it was left."""
    check_id = UUID((job.payload or {})["checkId"])
    async with backends.db.reading() as rows:
        found = await storage_checks.by_ids(rows, [check_id])
    row = next((each for each in found if each.state in storage_checks.LIVE), None)
    if row is None:
        return
    progress, now = Progress.of(row), backends.ports.clock.now()
    await _write(backends, check_id, now, state=StorageCheckState.RUNNING, started_at=row.started_at or now)
    terms = CheckTerms(row.repairs, row.digests, policy.orphan_grace)
    await check_storage(backends, terms, progress, _Keeping(backends, check_id, now))
    ended_at = backends.ports.clock.now()
    ended = {**progress.kept, "state": StorageCheckState.DONE, "ended_at": ended_at, "updated_at": ended_at}
    async with backends.db.transaction() as tx:
        await storage_checks.end(tx, check_id, ended)


class _Keeping:
    """Writes down how far a check has come: every second, and at the end of each stage, since others do not ask."""

    def __init__(self, backends: Backends, check_id: UUID, now: datetime) -> None:
        self._backends = backends
        self._check_id = check_id
        self._kept_at = now
        self._stage = 0

    async def tell(self, _finding: Finding) -> None:
        """It is in the progress, too."""

    async def keep(self, progress: Progress) -> None:
        """Write it down if that was some time ago."""
        now = self._backends.ports.clock.now()
        if progress.stage != self._stage or now - self._kept_at >= KEPT_EVERY:
            self._stage, self._kept_at = progress.stage, now
            await _write(self._backends, self._check_id, now, **progress.kept)


async def _write(backends: Backends, check_id: UUID, now: datetime, **values: object) -> None:
    async with backends.db.transaction() as tx:
        await storage_checks.change(tx, check_id, {**values, "updated_at": now})
