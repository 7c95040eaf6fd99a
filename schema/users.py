"""Users, as everyone who meets them sees them, and their account, as they and administrators see it."""

from enum import Enum
from typing import Annotated
from uuid import UUID

import strawberry

from db.rows import UserRow
from schema.connections import PageArguments
from schema.ids import Prefix, encode
from schema.loaders import Loaders, present
from schema.nodes import Node
from schema.scalars import DateTime
from schema.session_connections import SessionConnection, sessions_of
from schema.workspaces import Workspace, workspace_of


@strawberry.enum(description="What a user may do to the service as a whole.")
class UserRole(Enum):
    """The roles of users."""

    USER = strawberry.enum_value("USER", description="Own files and workspaces.")
    ADMIN = strawberry.enum_value("ADMIN", description="Manage people and see numbers; not read others' files.")


@strawberry.type(description="What only the person and administrators see of a user.")
class Account:
    """A user's account."""

    user_id: strawberry.Private[UUID]
    loaders: strawberry.Private[Loaders]
    email: str = strawberry.field(description="The address for mail and login.")
    role: UserRole = strawberry.field(description="What the user may do to the service as a whole.")
    disabled: bool = strawberry.field(description="Whether the user is kept out.")
    last_login_at: DateTime | None = strawberry.field(description="The last login with a password; null before it.")

    @strawberry.field(description="The workspace that files go to when none is named.")
    async def personal_workspace(self) -> Workspace:
        """An administrator sees that it is there, and not what lies in it."""
        return workspace_of(await present(self.loaders.personal_workspaces.load(self.user_id)))

    @strawberry.field(description="Where the user is signed in, the newest session first, a page at a time.")
    async def sessions(
        self,
        first: Annotated[int | None, strawberry.argument(description="1 to 100 from the start; 25 by default.")] = None,
        after: Annotated[str | None, strawberry.argument(description="Only what follows this cursor.")] = None,
        last: Annotated[int | None, strawberry.argument(description="1 to 100 from the end.")] = None,
        before: Annotated[str | None, strawberry.argument(description="Only what stands before this cursor.")] = None,
    ) -> SessionConnection:
        """One statement however many users are asked."""
        return await sessions_of(self.loaders, self.user_id, PageArguments(first, after, last, before))


@strawberry.type(description="A person or program with an account.")
class User(Node):
    """A user."""

    username: str = strawberry.field(description="Unique without regard to case.")
    created_at: DateTime = strawberry.field(description="When the account was made.")
    account: Account | None = strawberry.field(
        description="The account; null for anyone but the person and administrators."
    )


def user_of(row: UserRow, loaders: Loaders) -> User:
    """The user of a row, with the account where the loaders' viewer may see it."""
    viewer = loaders.viewer
    return User(
        id=encode(Prefix.USER, row.id),
        username=row.username,
        created_at=DateTime(row.created_at),
        account=_account_of(row, loaders) if viewer.is_admin or viewer.user_id == row.id else None,
    )


def _account_of(row: UserRow, loaders: Loaders) -> Account:
    return Account(
        user_id=row.id,
        loaders=loaders,
        email=row.email,
        role=UserRole(row.role),
        disabled=row.disabled_at is not None,
        last_login_at=DateTime(row.last_login_at) if row.last_login_at else None,
    )
