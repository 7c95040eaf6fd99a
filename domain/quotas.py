"""How much a workspace holds and may hold. Limits are told; an upload over one is not refused yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db import usage, workspaces
from db.engine import Rows, Transaction
from db.rows import UsageRow, WorkspaceRow
from domain.access import no_such_workspace
from domain.events import EventKind, RequestFacts, Subject, event
from domain.policy import WorkspacePolicy
from domain.ports import Ports
from domain.viewer import Viewer
from domain.workspaces import known_by_ids


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit in bytes for a workspace: 0 is none, None the default of the settings."""

    workspace_id: UUID
    limit: int | None


async def usages_by_ids(rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID]) -> list[UsageRow]:
    """What lies in those of the workspaces that the viewer may know of."""
    known = await known_by_ids(rows, viewer, workspace_ids)
    return await usage.by_ids(rows, [workspace.id for workspace in known])


def limit_of(policy: WorkspacePolicy, quota_limit: int | None) -> int | None:
    """The bytes that a workspace may hold; None where there is no limit."""
    return (policy.quota_bytes if quota_limit is None else quota_limit) or None


async def set_quota(tx: Transaction, ports: Ports, viewer: Viewer, quota: Quota, facts: RequestFacts) -> WorkspaceRow:
    """Give a workspace another limit. Raises NotSignedIn, AdministratorsOnly and NotFound."""
    user_id = viewer.administering()
    await workspaces.lock(tx, [quota.workspace_id])
    found = await workspaces.existing(tx, user_id, [quota.workspace_id])
    if not found:
        raise no_such_workspace()
    await workspaces.set_quota(tx, quota.workspace_id, quota.limit)
    subject = Subject(user_id, quota.workspace_id, quota.workspace_id, data={"limit": quota.limit})
    await tx.add(event(EventKind.QUOTA_CHANGED, subject, facts, ports.clock.now()))
    return found[0]
