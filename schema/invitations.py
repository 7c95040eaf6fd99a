"""Invitations to a workspace, as its owners see them."""

from uuid import UUID

import strawberry

from db.rows import InvitationRow
from schema.connections import Connection, Cursors, PageArguments, connection_of, nothing_in, window_of
from schema.ids import Prefix, encode
from schema.loaders import Loaders
from schema.members import WorkspaceRole
from schema.scalars import DateTime, parse_date_time
from schema.users import User, user_of

CURSORS = Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time)


@strawberry.type(description="A role in a workspace that an email was offered and that can still be accepted.")
class Invitation:
    """An invitation. Its token is in the mail, and nowhere else."""

    invited_by_id: strawberry.Private[UUID | None]
    loaders: strawberry.Private[Loaders]
    id: strawberry.ID = strawberry.field(description="Opaque and unique.")
    email: str = strawberry.field(description="Whom it was sent to, in the form in which emails are compared.")
    role: WorkspaceRole = strawberry.field(description="What the person will be able to do in the workspace.")
    created_at: DateTime = strawberry.field(description="When it was sent.")
    expires_at: DateTime = strawberry.field(description="Until when it can be accepted.")

    @strawberry.field(description="The owner who sent it.")
    async def invited_by(self) -> User | None:
        """Another owner of the workspace, or the viewer."""
        row = await self.loaders.users.load(self.invited_by_id) if self.invited_by_id else None
        return row and user_of(row, self.loaders)


def invitation_of(row: InvitationRow, loaders: Loaders) -> Invitation:
    """The invitation of a row."""
    return Invitation(
        invited_by_id=row.invited_by_id,
        loaders=loaders,
        id=encode(Prefix.INVITATION, row.id),
        email=row.email,
        role=WorkspaceRole(row.role),
        created_at=DateTime(row.created_at),
        expires_at=DateTime(row.expires_at),
    )


async def invitations_of(loaders: Loaders, workspace_id: UUID, arguments: PageArguments) -> Connection[Invitation]:
    """A page of a workspace's invitations, the newest first."""
    window = window_of(arguments, CURSORS)

    async def count() -> int:
        return await loaders.invitation_counts.load((workspace_id, None)) or 0

    page = await loaders.invitation_pages.load((workspace_id, window)) or nothing_in(window)
    return connection_of(page, CURSORS, lambda row: invitation_of(row, loaders), count)
