"""Restoring versions."""

from typing import Annotated

import strawberry

from domain import versions
from domain.versions import Restoration
from schema.context import Info, changing
from schema.files import File, file_of
from schema.ids import Prefix, decode
from schema.problems import Payload, refusable


@strawberry.input(description="A file that is to have an older content again.")
class RestoreVersionInput:
    """See `domain.versions.Restoration`."""

    id: strawberry.ID = strawberry.field(description="The file.")
    version_id: strawberry.ID = strawberry.field(description="The version of it that has the content.")
    if_revision: int | None = strawberry.field(
        default=None, description="Refuse with `CONFLICT` unless the file is at this revision."
    )


@strawberry.type(description="What became of restoring a version.")
class RestoreVersionPayload(Payload):
    """The answer of `restoreVersion`."""

    file: File | None = strawberry.field(default=None, description="The file with that content; null when refused.")


@strawberry.type
class VersionMutations:
    """Changes to which content a file has."""

    @strawberry.mutation(
        description="Make an older content the newest version of its file. The versions in between stay, and nothing "
        "changes where the file has this content already."
    )
    @refusable(RestoreVersionPayload)
    async def restore_version(
        self, info: Info, input: Annotated[RestoreVersionInput, strawberry.argument(description="Which, and of what.")]
    ) -> RestoreVersionPayload:
        """One verb, one transaction."""
        context = info.context
        named = decode(Prefix.FILE, input.id), decode(Prefix.VERSION, input.version_id)
        restoration = Restoration(*named, input.if_revision)
        async with changing(context) as tx:
            row = await versions.restore_version(tx, context.ports, context.viewer, restoration, context.request)
        return RestoreVersionPayload(file=file_of(row))
