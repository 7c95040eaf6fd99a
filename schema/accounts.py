"""The account of a user, as the person and administrators see it, and where it leads."""

from typing import Annotated

import strawberry

from db.models import QuotaKind
from schema.activity_summaries import ActivitySummary, activity_summary_of
from schema.api_key_connections import ApiKey, api_keys_of
from schema.connections import After, Before, Connection, First, Last, PageArguments
from schema.context import Info
from schema.events import Event, EventWhere, activity_of
from schema.loaders import present
from schema.scalars import Date
from schema.session_connections import Session, sessions_of
from schema.usages import Usage, usage_of
from schema.users import AccountFields
from schema.workspaces import Workspace, workspace_of, workspaces_of


@strawberry.type(description="What only the person and administrators see of a user.")
class Account(AccountFields):
    """A user's account. Its resolvers run on `AccountFields`, and use nothing else."""

    @strawberry.field(description="The workspace that files go to when none is named.")
    async def personal_workspace(self) -> Workspace:
        """An administrator sees that it is there, and not what lies in it."""
        row = await present(self.loaders.personal_workspaces.load(self.user_id))
        return workspace_of(row, self.loaders)

    @strawberry.field(description="The workspaces that the user is a member of, the oldest first.")
    async def workspaces(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Workspace]:
        """The personal one is among them."""
        return await workspaces_of(self.loaders, self.user_id, PageArguments(first, after, last, before))

    @strawberry.field(description="How much the user has brought, to whatever workspaces, and how much may be.")
    async def usage(self, info: Info) -> Usage:
        """One statement however many users are asked."""
        line = await present(self.loaders.user_usages.load(self.user_id))
        return usage_of(line, QuotaKind.USER, info.context)

    @strawberry.field(description="Where the user is signed in, the newest session first, a page at a time.")
    async def sessions(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Session]:
        """One statement however many users are asked."""
        return await sessions_of(self.loaders, self.user_id, PageArguments(first, after, last, before))

    @strawberry.field(description="The API keys that are not revoked, the newest first, a page at a time.")
    async def api_keys(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[ApiKey]:
        """One statement however many users are asked."""
        return await api_keys_of(self.loaders, self.user_id, PageArguments(first, after, last, before))

    @strawberry.field(description="What the user did, the newest first.")
    async def activity(
        self,
        where: Annotated[EventWhere | None, strawberry.argument(description="Which of it.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Event]:
        """Uploads, downloads, logins, and all that changed something."""
        page = PageArguments(first, after, last, before)
        return await activity_of(self.loaders, self.user_id, where or EventWhere(), page)

    @strawberry.field(description="What the user did in a period, summed up; see `lastLoginAt` for the last login.")
    async def activity_summary(
        self,
        info: Info,
        since: Annotated[
            Date | None, strawberry.argument(description="The first day; 29 days before the last by default.")
        ] = None,
        until: Annotated[Date | None, strawberry.argument(description="The last day; today by default.")] = None,
    ) -> ActivitySummary | None:
        """One statement however many users are asked."""
        return await activity_summary_of(info.context, self.user_id, since, until)
