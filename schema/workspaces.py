"""Workspaces, as their members see them, and their usage."""

from uuid import UUID

import strawberry

from db.models import QuotaKind
from db.models import WorkspaceRole as Role
from db.rows import WorkspaceRow
from schema.connections import (
    After,
    Before,
    Connection,
    Cursors,
    First,
    Last,
    PageArguments,
    connection_of,
    nothing_in,
    window_of,
)
from schema.context import Info
from schema.ids import Prefix, encode
from schema.invitations import Invitation, invitations_of
from schema.loaders import Loaders, present
from schema.members import Member, WorkspaceRole, members_of
from schema.nodes import Node
from schema.scalars import DateTime, parse_date_time
from schema.usages import Usage, usage_of

CURSORS = Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time)


@strawberry.type(description="Who owns files: everyone has a personal one, and teams share one.")
class Workspace(Node):
    """A workspace that the viewer is a member of, or that an administrator may know of."""

    row: strawberry.Private[WorkspaceRow]
    loaders: strawberry.Private[Loaders]
    name: str = strawberry.field(description="What it is called.")
    personal: bool = strawberry.field(description="Whether it is the one that a user is given at signup.")
    created_at: DateTime = strawberry.field(description="When it was made.")
    viewer_role: WorkspaceRole | None = strawberry.field(description="What you may do in it; null for no member.")

    @strawberry.field(description="Who is in it, who came first first.")
    async def members(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Member]:
        """Members and administrators see who is one."""
        return await members_of(self.loaders, self.row.id, PageArguments(first, after, last, before))

    @strawberry.field(description="Who was invited and can still accept, the newest first; null for all but owners.")
    async def invitations(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Invitation] | None:
        """Emails of people who may have no account: nobody's business but the owners'."""
        if self.row.viewer_role != Role.OWNER:
            return None
        return await invitations_of(self.loaders, self.row.id, PageArguments(first, after, last, before))

    @strawberry.field(description="How much lies in it.")
    async def usage(self, info: Info) -> Usage:
        """One statement for all workspaces of a list."""
        line = await present(self.loaders.usages.load(self.row.id))
        return usage_of(line, QuotaKind.WORKSPACE, info.context)


def workspace_of(row: WorkspaceRow, loaders: Loaders) -> Workspace:
    """The workspace of a row, as the loaders' viewer sees it."""
    return Workspace(
        id=encode(Prefix.WORKSPACE, row.id),
        row=row,
        loaders=loaders,
        name=row.name,
        personal=row.personal_user_id is not None,
        created_at=DateTime(row.created_at),
        viewer_role=WorkspaceRole(row.viewer_role) if row.viewer_role else None,
    )


async def workspaces_of(loaders: Loaders, user_id: UUID, arguments: PageArguments) -> Connection[Workspace]:
    """A page of a user's workspaces, the oldest first."""

    async def count() -> int:
        return await loaders.workspace_counts.load((user_id, None)) or 0

    window = window_of(arguments, CURSORS)
    page = await loaders.workspace_pages.load((user_id, window)) or nothing_in(window)
    return connection_of(page, CURSORS, lambda row: workspace_of(row, loaders), count)
