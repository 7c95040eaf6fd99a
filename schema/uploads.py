"""Uploads: the mutations that make files of file parts, and the scalar that stands for a part.

An `Upload` is one part's place in an operation, known before a byte of it is read. The gate in `api` puts a slot at
each place that the `map` names, asks `uploads_of` what the operation wants with it, and fills it; the resolver takes
what is in it, once.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NoReturn

import strawberry
from graphql import FieldNode, GraphQLError, GraphQLObjectType, GraphQLSchema
from graphql.execution.collect_fields import FragmentDetails, collect_fields
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.types.scalar import ScalarDefinition

from db.rows import FileRow
from domain.backends import Backends
from domain.errors import InvalidInput, NotSignedIn, Refusal, ScopeMissing
from domain.new_files import Upload
from domain.repeated_uploads import Repeated
from domain.uploads import Received, Replaced, UploadIntent
from domain.watched_uploads import store_files
from schema.context import Context, Info, load_anew
from schema.execution import Prepared
from schema.files import File, file_of
from schema.idempotency import IDEMPOTENCY_KEY
from schema.ids import Prefix, decode
from schema.problems import Payload, problems_of, refusable

NOT_AN_UPLOAD = "An Upload is a part of a multipart request, named in its `map`; it cannot be written as a value."


class UploadSlot:
    """One file part's place. `intent` is what the operation says of it, `outcome` what became of its bytes."""

    __slots__ = ("_is_taken", "intent", "outcome", "part_name")

    def __init__(self, part_name: str) -> None:
        self.part_name = part_name
        self.intent: UploadIntent | None = None
        self.outcome: Received | Repeated | Refusal | None = None
        self._is_taken = False

    @property
    def left_over(self) -> Received | None:
        """Received bytes that no resolver has taken: to be removed."""
        return self.outcome if isinstance(self.outcome, Received) and not self._is_taken else None

    def take(self) -> Received | Repeated | Refusal:
        """The received bytes, whose keeping is the taker's from now on, or the refusal that they met."""
        if self._is_taken:
            return InvalidInput(message="This upload is used by another field already.", path=("file",))
        self._is_taken = True
        if self.outcome is None:
            return InvalidInput(message="No bytes came for this upload.", path=("file",))
        return self.outcome


@strawberry.input(description="One file to be uploaded.")
class UploadFileInput:
    """See `domain.uploads.UploadIntent`."""

    file: UploadSlot = strawberry.field(description="The file: a part of the multipart request.")
    name: str | None = strawberry.field(default=None, description="Its name; otherwise the part's `filename`.")
    workspace_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where it goes; otherwise to your personal workspace."
    )
    digest: str | None = strawberry.field(
        default=None, description="The SHA-256 of its bytes in hex: bytes that differ are refused."
    )
    replaces: strawberry.ID | None = strawberry.field(
        default=None, description="The file that is to have these bytes as its newest version, under its name."
    )
    if_revision: int | None = strawberry.field(
        default=None, description="With `replaces`: refuse with `CONFLICT` unless the file is at this revision."
    )
    upload_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="A new id of your choosing, `upl_` and 32 hexadecimal digits, for `uploadProgress` to watch.",
    )
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@strawberry.input(description="Several files to be uploaded.")
class UploadFilesInput:
    """One input per file."""

    files: list[UploadFileInput] = strawberry.field(description="One input per file.")


@strawberry.type(description="What became of one upload.")
class UploadFilePayload(Payload):
    """The answer of `uploadFile`, and one answer of `uploadFiles`."""

    file: File | None = strawberry.field(default=None, description="The new file; null when it was refused.")


@strawberry.type(description="What became of several uploads.")
class UploadFilesPayload(Payload):
    """The answer of `uploadFiles`."""

    results: list[UploadFilePayload] = strawberry.field(
        default_factory=list, description="One per input, in order; each file succeeds or fails by itself."
    )


@strawberry.type
class UploadMutations:
    """Bytes in."""

    @strawberry.mutation(description="Upload a file. The bytes come as a part of the same multipart request.")
    @refusable(UploadFilePayload)
    async def upload_file(
        self, info: Info, input: Annotated[UploadFileInput, strawberry.argument(description="The file.")]
    ) -> UploadFilePayload:
        """One file."""
        [result] = await _store(info.context, [input])
        return result

    @strawberry.mutation(description="Upload several files in one request. Each succeeds or fails by itself.")
    @refusable(UploadFilesPayload)
    async def upload_files(
        self, info: Info, input: Annotated[UploadFilesInput, strawberry.argument(description="The files.")]
    ) -> UploadFilesPayload:
        """Several files, in one transaction."""
        return UploadFilesPayload(results=await _store(info.context, input.files))


async def _store(context: Context, inputs: Sequence[UploadFileInput]) -> list[UploadFilePayload]:
    arrivals = [given.file.take() for given in inputs]
    upload = Upload(context.ports, context.viewer, context.request, arrivals)
    outcomes = await store_files(Backends(context.db, context.store, context.ports), upload)
    load_anew(context)
    return [_payload(outcome) for outcome in outcomes]


def _payload(outcome: FileRow | Refusal) -> UploadFilePayload:
    if isinstance(outcome, NotSignedIn | ScopeMissing):
        raise outcome
    if isinstance(outcome, Refusal):
        return UploadFilePayload.refused(problems_of(outcome))
    return UploadFilePayload(file=file_of(outcome))


def uploads_of(schema: GraphQLSchema, prepared: Prepared, variables: VariableValues) -> list[UploadSlot]:
    """The slots that the operation's upload mutations will take, in document order, each with its intent."""
    slots = []
    for field in _root_fields(schema, prepared, variables):
        for upload in _inputs(field):
            slot = upload["file"]
            slot.intent = _intent(upload)
            slots.append(slot)
    return slots


def _root_fields(
    schema: GraphQLSchema, prepared: Prepared, variables: VariableValues
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    root = schema.get_root_type(prepared.operation.operation)
    if not isinstance(root, GraphQLObjectType):
        return
    fragments = {name: FragmentDetails(fragment) for name, fragment in prepared.fragments.items()}
    collected = collect_fields(schema, fragments, variables, root, prepared.operation)
    for details in collected.grouped_field_set.values():
        node: FieldNode = details[0].node
        name = node.name.value
        if name in {"uploadFile", "uploadFiles"}:
            yield name, get_argument_values(root.fields[name], node, variables)


def _inputs(field: tuple[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    name, arguments = field
    given = arguments["input"]
    return [given] if name == "uploadFile" else list(given["files"])


def _intent(upload: Mapping[str, Any]) -> UploadIntent:
    workspace_id = upload.get("workspaceId")
    return UploadIntent(
        name=upload.get("name"),
        workspace_id=None if workspace_id is None else decode(Prefix.WORKSPACE, workspace_id),
        digest=upload.get("digest"),
        replaces=replaced_by(upload.get("replaces"), upload.get("ifRevision")),
        upload_id=None if upload.get("uploadId") is None else decode(Prefix.UPLOAD, upload["uploadId"]),
        idempotency_key=upload.get("idempotencyKey"),
    )


def replaced_by(file_id: str | None, revision: int | None) -> Replaced | None:
    """The file that an input is to replace, if it names one."""
    return None if file_id is None else Replaced(decode(Prefix.FILE, file_id), revision)


def _parse_value(value: object) -> UploadSlot:
    if not isinstance(value, UploadSlot):
        raise GraphQLError(NOT_AN_UPLOAD)
    return value


def _refuse(*_arguments: object) -> NoReturn:
    raise GraphQLError(NOT_AN_UPLOAD)


UPLOAD: ScalarDefinition = strawberry.scalar(
    name="Upload",
    description="A file part of a request that follows the GraphQL multipart request specification.",
    specified_by_url="https://github.com/jaydenseric/graphql-multipart-request-spec",
    serialize=_refuse,
    parse_value=_parse_value,
    parse_literal=_refuse,
)
