"""What may be uploaded, told beforehand so that clients can check first."""

from typing import Annotated

import strawberry

from domain import access
from domain.errors import Forbidden, NotFound
from schema.context import Info
from schema.ids import Prefix, decode
from schema.scalars import ByteCount


@strawberry.type(description="The limits and allowed types of uploads.")
class UploadPolicy:
    """See `domain.policy.UploadPolicy`."""

    maximum_file_bytes: ByteCount = strawberry.field(description="The largest file, in bytes.")
    maximum_files: int = strawberry.field(description="Files in one request at most.")
    allowed_extensions: list[str] = strawberry.field(description="What a name may end with, without the dot.")
    blocked_extensions: list[str] = strawberry.field(description="What a name may have nowhere, without the dot.")


@strawberry.type
class PolicyQueries:
    """Limits."""

    @strawberry.field(description="What may be uploaded to a workspace; null when you may upload nothing there.")
    async def upload_policy(
        self,
        info: Info,
        workspace_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="The workspace; your personal one by default.")
        ] = None,
    ) -> UploadPolicy | None:
        """The same for every workspace, so far; the right is asked all the same."""
        context, policy = info.context, info.context.ports.policy
        wanted = None if workspace_id is None else decode(Prefix.WORKSPACE, workspace_id)
        try:
            await access.writable_workspace(context.db, context.viewer, wanted)
        except (NotFound, Forbidden):
            return None
        return UploadPolicy(
            maximum_file_bytes=ByteCount(policy.maximum_file_bytes),
            maximum_files=policy.maximum_files,
            allowed_extensions=sorted(policy.allowed_extensions - policy.blocked_extensions),
            blocked_extensions=sorted(policy.blocked_extensions),
        )
