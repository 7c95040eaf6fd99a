"""Workspaces, as their members see them."""

from enum import Enum

import strawberry

from db.rows import WorkspaceRow
from schema.ids import Prefix, encode
from schema.nodes import Node
from schema.scalars import DateTime


@strawberry.enum(description="What a member may do in a workspace.")
class WorkspaceRole(Enum):
    """The roles of members."""

    OWNER = strawberry.enum_value("OWNER", description="Everything, members included.")
    EDITOR = strawberry.enum_value("EDITOR", description="Add, change and purge files.")
    VIEWER = strawberry.enum_value("VIEWER", description="List and download files.")


@strawberry.type(description="Who owns files: everyone has a personal one.")
class Workspace(Node):
    """A workspace that the viewer is a member of."""

    name: str = strawberry.field(description="What it is called.")
    personal: bool = strawberry.field(description="Whether it is the one that a user is given at signup.")
    created_at: DateTime = strawberry.field(description="When it was made.")
    viewer_role: WorkspaceRole | None = strawberry.field(description="What you may do in it; null for no member.")


def workspace_of(row: WorkspaceRow) -> Workspace:
    """The workspace of a row."""
    return Workspace(
        id=encode(Prefix.WORKSPACE, row.id),
        name=row.name,
        personal=row.personal_user_id is not None,
        created_at=DateTime(row.created_at),
        viewer_role=WorkspaceRole(row.viewer_role) if row.viewer_role else None,
    )
