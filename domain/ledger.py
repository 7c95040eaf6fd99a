"""The ledger: what is held and held back, entered in the transaction of the change, and refused over a limit.

Entering is the last thing that a transaction does: from then to its end it locks the lines, which everybody who
changes the same workspace has to wait for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from db import quotas
from db.engine import Transaction
from db.models import QuotaKind
from db.quotas import Entry
from db.rows import MembershipRow, UsageRow
from db.violations import Declined
from domain.policy import WorkspacePolicy
from domain.upload_errors import QuotaExceeded


class Change(NamedTuple):
    """What changes in a workspace, and for the user whose doing it is, if that one is known. Sizes are in bytes.

    The media type, and how many uploads it was, are for `domain.analytics_deltas`: the ledger has no line for them.
    """

    workspace_id: UUID
    user_id: UUID | None
    used: int = 0
    reserved: int = 0
    files: int = 0
    media_type: str | None = None
    uploads: int = 0


class OverQuota(Declined):
    """Several changes together are over a limit, though each may not be. `refusal` is what the last one is told."""

    def __init__(self, refusal: QuotaExceeded) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of one limit, before an upload."""

    kind: QuotaKind
    limit: int
    used: int
    reserved: int

    def judge(self, requested: int) -> None:
        """Do nothing where so many bytes more fit. Raises QuotaExceeded."""
        if self.used + self.reserved + requested > self.limit:
            raise _exceeded(self, requested)


async def post(tx: Transaction, policy: WorkspacePolicy, changes: Iterable[Change]) -> None:
    """Enter changes: all of them, or none where one passes a limit by a byte. Raises QuotaExceeded."""
    entries = _entries(changes)
    for line in await quotas.post(tx, entries.values()):
        if min(line.used, line.reserved, line.files) < 0:
            raise RuntimeError(f"the ledger's line of {line.id} would fall below nothing: {line}")
        entry = entries[line.id]
        limit = limit_of(policy, entry.kind, line.quota_limit)
        if limit is not None and entry.used + entry.reserved > 0 and line.used + line.reserved > limit:
            before = Room(entry.kind, limit, line.used - entry.used, line.reserved - entry.reserved)
            raise _exceeded(before, entry.used + entry.reserved)


def rooms_of(policy: WorkspacePolicy, membership: MembershipRow) -> Sequence[Room]:
    """The limits that an upload of a member meets."""
    lines = (
        (QuotaKind.WORKSPACE, membership.workspace_limit, membership.workspace_used, membership.workspace_reserved),
        (QuotaKind.USER, membership.user_limit, membership.user_used, membership.user_reserved),
    )
    limited = [(kind, limit_of(policy, kind, own), used or 0, reserved or 0) for kind, own, used, reserved in lines]
    return [Room(kind, limit, used, reserved) for kind, limit, used, reserved in limited if limit is not None]


def limit_of(policy: WorkspacePolicy, kind: QuotaKind, own: int | None) -> int | None:
    """The bytes that a workspace or user may hold; None where there is no limit."""
    default = policy.quota_bytes if kind is QuotaKind.WORKSPACE else policy.user_quota_bytes
    return (default if own is None else own) or None


def line_of(found: Sequence[UsageRow], owner_id: UUID) -> UsageRow:
    """The line of an owner among those that were found; an empty one where nothing was ever entered."""
    return next((line for line in found if line.id == owner_id), UsageRow(owner_id, 0, 0, 0, None))


def _entries(changes: Iterable[Change]) -> dict[UUID, Entry]:
    entries: dict[UUID, Entry] = {}
    for change in changes:
        owners = ((change.workspace_id, QuotaKind.WORKSPACE), (change.user_id, QuotaKind.USER))
        for owner_id, kind in owners:
            if owner_id is not None:
                so_far = entries.get(owner_id) or Entry(owner_id, kind, 0, 0, 0)
                entries[owner_id] = Entry(
                    owner_id,
                    kind,
                    so_far.used + change.used,
                    so_far.reserved + change.reserved,
                    so_far.files + change.files,
                )
    return {owner_id: entry for owner_id, entry in entries.items() if entry[2:] != (0, 0, 0)}


def _exceeded(room: Room, requested: int) -> QuotaExceeded:
    whose = "The workspace" if room.kind is QuotaKind.WORKSPACE else "The user"
    sentence = f"{whose} may hold {room.limit} bytes, holds {room.used} and keeps {room.reserved} for uploads under way"
    return QuotaExceeded(
        message=f"{sentence}: {requested} more do not fit.",
        scope=room.kind,
        limit=room.limit,
        used=room.used,
        reserved=room.reserved,
        requested=requested,
        path=("file",),
    )
