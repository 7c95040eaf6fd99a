"""Finding users, for administrators."""

from enum import Enum
from typing import Annotated

import strawberry

from db.questions import UserFilter, UserOrderField
from domain import administration
from domain.emails import fold_email
from domain.errors import InvalidInput
from domain.names import fold
from schema.connections import (
    After,
    Before,
    Connection,
    Cursors,
    First,
    Last,
    PageArguments,
    connection_of,
    window_of,
)
from schema.context import Context, Info
from schema.ids import Prefix, decode
from schema.orders import OrderDirection, parse_folded
from schema.scalars import DateTime, parse_date_time
from schema.users import User, UserRole, user_of

SEARCH_MAXIMUM = 255


@strawberry.input(description="Which users: every condition given must hold.")
class UserWhere:
    """See `db.questions.UserFilter`."""

    search: str | None = strawberry.field(
        default=None, description="Part of the username or of the email, in upper or lower case."
    )
    role: UserRole | None = strawberry.field(default=None, description="With this role.")
    disabled: bool | None = strawberry.field(default=None, description="Kept out, or not.")
    workspace_id: strawberry.ID | None = strawberry.field(default=None, description="Members of this workspace.")
    inactive_since: DateTime | None = strawberry.field(
        default=None, description="Who has not logged in then or later, nor signed up."
    )


@strawberry.enum(name="UserOrderField", description="What users are sorted by.")
class OrderField(Enum):
    """The names of `db.questions.UserOrderField`."""

    USERNAME = strawberry.enum_value("USERNAME", description="The username, without regard to case.")
    EMAIL = strawberry.enum_value("EMAIL", description="The email, without regard to case.")
    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When the account was made.")
    LAST_LOGIN_AT = strawberry.enum_value(
        "LAST_LOGIN_AT", description="The last login with a password; before the first, when the account was made."
    )


@strawberry.input(description="What users are sorted by, and which way.")
class UserOrder:
    """The newest first unless something else is asked for."""

    field: OrderField = strawberry.field(default=OrderField.CREATED_AT, description="What is compared.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.DESC, description="Which way.")


CURSORS = {
    OrderField.USERNAME: Cursors("USERNAME", lambda row: fold(row.username), parse_folded),
    OrderField.EMAIL: Cursors("EMAIL", lambda row: fold_email(row.email), parse_folded),
    OrderField.CREATED_AT: Cursors("CREATED_AT", lambda row: row.created_at, parse_date_time),
    OrderField.LAST_LOGIN_AT: Cursors(
        "LAST_LOGIN_AT", lambda row: row.last_login_at or row.created_at, parse_date_time
    ),
}


@strawberry.type
class UserQueries:
    """Finding users."""

    @strawberry.field(description="Everyone who has an account, a page at a time. Administrators only.")
    async def users(
        self,
        info: Info,
        where: Annotated[UserWhere | None, strawberry.argument(description="Which users.")] = None,
        order_by: Annotated[UserOrder | None, strawberry.argument(description="Newest first by default.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[User] | None:
        """One statement for the page, and one for `totalCount`."""
        info.context.viewer.administering()
        page = PageArguments(first, after, last, before)
        return await _connection(info.context, where or UserWhere(), order_by or UserOrder(), page)


async def _connection(
    context: Context, where: UserWhere, order: UserOrder, arguments: PageArguments
) -> Connection[User]:
    cursors, user_filter, loaders = CURSORS[order.field], _filter_of(where), context.loaders
    window = window_of(arguments, cursors)
    sorting = UserOrderField[order.field.name], order.direction is OrderDirection.DESC

    async def count() -> int:
        async with context.db.reading() as rows:
            return await administration.count(rows, context.viewer, user_filter)

    async with context.db.reading() as rows:
        page = await administration.page(rows, context.viewer, user_filter, sorting, window)
    return connection_of(page, cursors, lambda row: user_of(row, loaders), count)


def _filter_of(where: UserWhere) -> UserFilter:
    if where.search is not None and len(where.search) > SEARCH_MAXIMUM:
        raise InvalidInput(message=f"Search for at most {SEARCH_MAXIMUM} characters.", path=("where", "search"))
    return UserFilter(
        search_folded=None if where.search is None else fold(where.search),
        role=None if where.role is None else where.role.name,
        is_disabled=where.disabled,
        workspace_id=None if where.workspace_id is None else decode(Prefix.WORKSPACE, where.workspace_id),
        inactive_since=where.inactive_since,
    )
