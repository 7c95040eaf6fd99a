"""How much lies in workspaces."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import BigInteger, cast, func, select
from sqlmodel import col

from db.engine import Rows
from db.models import File, Version, Workspace
from db.rows import UsageRow

_FILES = select(func.count()).where(col(File.workspace_id) == col(Workspace.id)).scalar_subquery()
_USED = (
    select(cast(func.coalesce(func.sum(col(Version.size)), 0), BigInteger))
    .join(File, col(File.id) == col(Version.file_id))
    .where(col(File.workspace_id) == col(Workspace.id))
    .correlate(Workspace)
    .scalar_subquery()
)


async def by_ids(rows: Rows, workspace_ids: Sequence[UUID]) -> list[UsageRow]:
    """What lies in each of the workspaces, bytes of older versions included: one statement."""
    statement = select(col(Workspace.id), _FILES, _USED, col(Workspace.quota_limit))
    found = await rows.all(statement.where(col(Workspace.id).in_(workspace_ids)))
    return [UsageRow._make(row) for row in found]
