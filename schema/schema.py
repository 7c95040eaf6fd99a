"""The schema, put together from its nouns. `python -m schema.schema` prints it."""

from functools import cache

import strawberry
from strawberry.schema.config import StrawberryConfig

from schema.account_mutations import AccountMutations
from schema.administration import AdministrationMutations
from schema.analytics_export_queries import AnalyticsExportMutations, AnalyticsExportQueries
from schema.analytics_queries import AnalyticsQueries
from schema.api_keys import ApiKeyMutations
from schema.email_mutations import EmailMutations
from schema.event_queries import EventQueries
from schema.file_mutations import FileMutations
from schema.file_queries import FileQueries
from schema.inputs import plan_inputs
from schema.invitation_mutations import InvitationMutations
from schema.member_mutations import MemberMutations
from schema.node_queries import NodeQueries
from schema.password_mutations import PasswordMutations
from schema.policy import PolicyQueries
from schema.problems import PROBLEMS
from schema.scalars import SCALARS
from schema.sessions import SessionMutations
from schema.storage_check_queries import StorageCheckMutations, StorageCheckQueries
from schema.stream_tickets import StreamTicketMutations
from schema.subscriptions import Subscription
from schema.two_factor import TwoFactorMutations
from schema.upload_session_mutations import UploadSessionMutations
from schema.upload_session_queries import UploadSessionQueries
from schema.uploads import UPLOAD, UploadMutations, UploadSlot
from schema.user_queries import UserQueries
from schema.version_mutations import VersionMutations
from schema.workspace_mutations import WorkspaceMutations
from schema.workspace_queries import WorkspaceQueries
from schema.workspaces import Workspace


@strawberry.type(description="Everything that can be asked.")
class Query(
    NodeQueries,
    FileQueries,
    WorkspaceQueries,
    PolicyQueries,
    UserQueries,
    EventQueries,
    AnalyticsQueries,
    AnalyticsExportQueries,
    UploadSessionQueries,
    StorageCheckQueries,
):
    """The root of queries."""


@strawberry.type(description="Everything that can be changed.")
class Mutation(
    SessionMutations,
    StreamTicketMutations,
    TwoFactorMutations,
    ApiKeyMutations,
    EmailMutations,
    PasswordMutations,
    AccountMutations,
    UploadMutations,
    UploadSessionMutations,
    FileMutations,
    VersionMutations,
    WorkspaceMutations,
    MemberMutations,
    InvitationMutations,
    AdministrationMutations,
    StorageCheckMutations,
    AnalyticsExportMutations,
):
    """The root of mutations."""


@cache
def build_schema() -> strawberry.Schema:
    """Strawberry's schema of all nouns: built once, and the same for every application, since nobody changes it."""
    schema = strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        types=[Workspace, *PROBLEMS.values()],
        config=StrawberryConfig(scalar_map=SCALARS | {UploadSlot: UPLOAD}),
    )
    plan_inputs(schema)
    return schema


if __name__ == "__main__":
    print(build_schema().as_str())  # noqa: T201 - what it is for
