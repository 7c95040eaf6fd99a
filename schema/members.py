"""Members of a workspace: who they are and what they may do in it."""

from enum import Enum
from uuid import UUID

import strawberry

from db.rows import MemberRow
from schema.connections import Connection, Cursors, PageArguments, connection_of, nothing_in, window_of
from schema.loaders import Loaders, present
from schema.scalars import DateTime, parse_date_time
from schema.users import User, user_of

CURSORS = Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time)


@strawberry.enum(description="What a member may do in a workspace.")
class WorkspaceRole(Enum):
    """The roles of members."""

    OWNER = strawberry.enum_value("OWNER", description="Everything, members included.")
    EDITOR = strawberry.enum_value("EDITOR", description="Add, change and purge files.")
    VIEWER = strawberry.enum_value("VIEWER", description="List and download files.")


@strawberry.type(description="A user in a workspace.")
class Member:
    """A member, as the other members see it."""

    user_id: strawberry.Private[UUID]
    loaders: strawberry.Private[Loaders]
    role: WorkspaceRole = strawberry.field(description="What they may do in the workspace.")
    created_at: DateTime = strawberry.field(description="When they came into the workspace.")

    @strawberry.field(description="Who it is.")
    async def user(self) -> User:
        """Whoever may see a member may see the user."""
        return user_of(await present(self.loaders.users.load(self.user_id)), self.loaders)


def member_of(row: MemberRow, loaders: Loaders) -> Member:
    """The member of a row."""
    return Member(
        user_id=row.user_id, loaders=loaders, role=WorkspaceRole(row.role), created_at=DateTime(row.created_at)
    )


async def members_of(loaders: Loaders, workspace_id: UUID, arguments: PageArguments) -> Connection[Member]:
    """A page of a workspace's members, who came first first."""

    async def count() -> int:
        return await loaders.member_counts.load((workspace_id, None)) or 0

    window = window_of(arguments, CURSORS)
    page = await loaders.member_pages.load((workspace_id, window)) or nothing_in(window)
    return connection_of(page, CURSORS, lambda row: member_of(row, loaders), count)
