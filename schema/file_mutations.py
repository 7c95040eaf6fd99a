"""Renaming and purging files."""

from typing import Annotated

import strawberry

from db.rows import FileRow
from domain import blobs, files
from domain.errors import Refusal
from domain.files import Rename
from schema.context import Info, changing
from schema.files import File, file_of
from schema.ids import Prefix, decode, judge_lengths
from schema.problems import Payload, Problem, problems_of, refusable


@strawberry.input(description="Another name for a file.")
class RenameFileInput:
    """See `domain.files.Rename`."""

    id: strawberry.ID = strawberry.field(description="The file.")
    name: str = strawberry.field(description="The new name, judged as that of an upload is.")
    if_revision: int | None = strawberry.field(
        default=None, description="Refuse with `CONFLICT` unless the file is at this revision."
    )


@strawberry.type(description="What became of a rename.")
class RenameFilePayload(Payload):
    """The answer of `renameFile`."""

    file: File | None = strawberry.field(default=None, description="The file with its new name; null when refused.")


@strawberry.input(description="Files to be removed for good.")
class PurgeFilesInput:
    """Up to 100 ids."""

    ids: list[strawberry.ID] = strawberry.field(description="Up to 100 files.")


@strawberry.type(description="What became of one file of a bulk mutation.")
class FileResult:
    """One answer of a bulk mutation."""

    id: strawberry.ID = strawberry.field(description="The id as it was given.")
    file: File | None = strawberry.field(default=None, description="The file as it was; null when refused.")
    problems: list[Problem] = strawberry.field(default_factory=list, description="Why it was refused; else empty.")


@strawberry.type(description="What became of the files to be removed.")
class PurgeFilesPayload(Payload):
    """The answer of `purgeFiles`."""

    results: list[FileResult] = strawberry.field(default_factory=list, description="One per id, in order.")


@strawberry.type
class FileMutations:
    """Changes to files."""

    @strawberry.mutation(description="Give a file another name.")
    @refusable(RenameFilePayload)
    async def rename_file(
        self, info: Info, input: Annotated[RenameFileInput, strawberry.argument(description="The file and its name.")]
    ) -> RenameFilePayload:
        """One verb, one transaction."""
        context = info.context
        change = Rename(decode(Prefix.FILE, input.id), input.name, input.if_revision)
        async with changing(context) as tx:
            row = await files.rename_file(tx, context.ports, context.viewer, change, context.request)
        return RenameFilePayload(file=file_of(row))

    @strawberry.mutation(description="Remove files and their bytes for good. Each succeeds or fails by itself.")
    @refusable(PurgeFilesPayload)
    async def purge_files(
        self, info: Info, input: Annotated[PurgeFilesInput, strawberry.argument(description="The files.")]
    ) -> PurgeFilesPayload:
        """Rows first, bytes last."""
        context = info.context
        judge_lengths(input.ids)
        file_ids = [decode(Prefix.FILE, file_id) for file_id in input.ids]
        async with changing(context) as tx:
            purged = await files.purge_files(tx, context.ports, context.viewer, file_ids, context.request)
        for version in purged.versions:
            context.loaders.versions.prime(version.id, version)
        await blobs.remove(context.db, context.store, purged.blob_keys)
        results = [_result(given, outcome) for given, outcome in zip(input.ids, purged.outcomes, strict=True)]
        return PurgeFilesPayload(results=results)


def _result(given: strawberry.ID, outcome: FileRow | Refusal) -> FileResult:
    if isinstance(outcome, Refusal):
        return FileResult(id=given, problems=problems_of(outcome))
    return FileResult(id=given, file=file_of(outcome))
