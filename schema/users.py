"""Users, as everyone who meets them sees them. What only they and administrators see is in `schema.accounts`."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated, cast
from uuid import UUID

import strawberry

from db.rows import UserRow
from schema.ids import Prefix, encode
from schema.loaders import Loaders
from schema.nodes import Node
from schema.scalars import DateTime

if TYPE_CHECKING:
    from schema.accounts import Account


@strawberry.enum(description="What a user may do to the service as a whole.")
class UserRole(Enum):
    """The roles of users."""

    USER = strawberry.enum_value("USER", description="Own files and workspaces.")
    ADMIN = strawberry.enum_value("ADMIN", description="Manage people and see numbers; not read others' files.")


@strawberry.type
class AccountFields:
    """What an account is made of. `schema.accounts` says what is shown of it, and leads on to workspaces and events."""

    user_id: strawberry.Private[UUID]
    loaders: strawberry.Private[Loaders]
    email: str = strawberry.field(description="The address for mail and login.")
    email_verified: bool = strawberry.field(description="Whether the user proved by a mail that the address is theirs.")
    role: UserRole = strawberry.field(description="What the user may do to the service as a whole.")
    disabled: bool = strawberry.field(description="Whether the user is kept out.")
    last_login_at: DateTime | None = strawberry.field(description="The last login with a password; null before it.")


@strawberry.type(description="A person or program with an account.")
class User(Node):
    """A user."""

    username: str = strawberry.field(description="Unique without regard to case.")
    created_at: DateTime = strawberry.field(description="When the account was made.")
    row: strawberry.Private[UserRow]
    loaders: strawberry.Private[Loaders]

    @strawberry.field(description="The account; null for anyone but the person and administrators.")
    def account(self) -> Annotated["Account", strawberry.lazy("schema.accounts")] | None:
        """A key of the person that is not allowed to read it is told so."""
        viewer = self.loaders.viewer
        if viewer.user_id == self.row.id:
            viewer.seeing_accounts()
        return _account_of(self.row, self.loaders) if viewer.sees_account_of(self.row.id) else None


def user_of(row: UserRow, loaders: Loaders) -> User:
    """The user of a row, with the account where the loaders' viewer may see it."""
    return User(
        id=encode(Prefix.USER, row.id),
        row=row,
        loaders=loaders,
        username=row.username,
        created_at=DateTime(row.created_at),
    )


def _account_of(row: UserRow, loaders: Loaders) -> "Account":
    fields = AccountFields(
        user_id=row.id,
        loaders=loaders,
        email=row.email,
        email_verified=row.email_verified_at is not None,
        role=UserRole(row.role),
        disabled=row.disabled_at is not None,
        last_login_at=DateTime(row.last_login_at) if row.last_login_at else None,
    )
    # An account leads to workspaces, whose members are users. The fields are all that the resolvers of an account look
    # at, and so users need not know where an account leads.
    return cast("Account", fields)
