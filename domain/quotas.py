"""How much workspaces and users hold and may hold, for those who may know. What changes it is for `domain.ledger`."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db import quotas, users, workspaces
from db.engine import Rows, Transaction
from db.models import QuotaKind
from db.rows import UsageRow, UserRow, WorkspaceRow
from domain.access import no_such_workspace
from domain.administration import existing_user
from domain.events import EventKind, RequestFacts, Subject, event
from domain.ledger import line_of
from domain.ports import Ports
from domain.viewer import Viewer
from domain.workspaces import known_by_ids


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit in bytes for a workspace or a user: 0 is none, None the default of the settings."""

    owner_id: UUID
    limit: int | None


async def usages_by_ids(rows: Rows, viewer: Viewer, workspace_ids: Sequence[UUID]) -> list[UsageRow]:
    """What lies in those of the workspaces that the viewer may know of."""
    known = [workspace.id for workspace in await known_by_ids(rows, viewer, workspace_ids)]
    found = await quotas.by_ids(rows, known)
    return [line_of(found, workspace_id) for workspace_id in known]


async def user_usages_by_ids(rows: Rows, viewer: Viewer, user_ids: Sequence[UUID]) -> list[UsageRow]:
    """What those of the users have brought whose accounts the viewer may see, to whatever workspaces."""
    known = [user_id for user_id in user_ids if viewer.sees_account_of(user_id)]
    found = await quotas.by_ids(rows, known)
    return [line_of(found, user_id) for user_id in known]


async def set_workspace_quota(
    tx: Transaction, ports: Ports, viewer: Viewer, quota: Quota, facts: RequestFacts
) -> WorkspaceRow:
    """Give a workspace another limit. What lies in it stays. Raises NotSignedIn, AdministratorsOnly and NotFound."""
    user_id = viewer.administering()
    await workspaces.lock(tx, [quota.owner_id])
    found = await workspaces.existing(tx, user_id, [quota.owner_id])
    if not found:
        raise no_such_workspace()
    subject = Subject(user_id, quota.owner_id, quota.owner_id, data={"limit": quota.limit})
    await tx.add(event(EventKind.QUOTA_CHANGED, subject, facts, ports.clock.now()))
    await quotas.set_limit(tx, quota.owner_id, QuotaKind.WORKSPACE, quota.limit)
    return found[0]


async def set_user_quota(tx: Transaction, ports: Ports, viewer: Viewer, quota: Quota, facts: RequestFacts) -> UserRow:
    """Give a user another limit. What it brought stays. Raises NotSignedIn, AdministratorsOnly and NotFound."""
    user_id = viewer.administering()
    await users.lock(tx, quota.owner_id)
    found = await existing_user(tx, quota.owner_id)
    subject = Subject(user_id, target_id=quota.owner_id, data={"limit": quota.limit})
    await tx.add(event(EventKind.USER_QUOTA_CHANGED, subject, facts, ports.clock.now()))
    await quotas.set_limit(tx, quota.owner_id, QuotaKind.USER, quota.limit)
    return found
