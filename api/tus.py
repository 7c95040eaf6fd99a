"""tus 1.0: uploads that go on where they were cut off, at `/uploads` and `/uploads/{id}`.

Source: https://tus.io/protocols/resumable-upload, with its extensions creation, creation-with-upload,
creation-defer-length, expiration, checksum, termination and concatenation. What heads say is read by `api.tus_heads`,
and what may be done is decided in `domain`.
"""

from email.utils import format_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from api import arrivals, tus_heads
from api.asking import Asking, facts_of, request_id_of
from api.bodies import body_of
from api.envelope import EnvelopeBreach, SenderGone
from api.problems import problem, problem_response
from api.tus_heads import Creation, MethodUnsupported, TusRefused
from db.models import UploadState, UploadTransport
from db.rows import UploadRow
from domain import upload_sessions
from domain.backends import Backends
from domain.completions import complete_upload
from domain.concatenations import concatenate
from domain.errors import InvalidInput, Refusal
from domain.pieces import Piece, reach_of, require_transport
from domain.takeovers import take_over
from domain.upload_ends import read, remove_bytes
from domain.upload_errors import UploadBusy, UploadEnded
from domain.upload_sessions import NewUpload, admit_upload, announce_size, has_ended, writable_upload
from domain.upload_targets import tus_url
from domain.uploads import Replaced, UploadIntent
from domain.viewer import Viewer
from schema.ids import Prefix, decode, encode

PATH: Final = "/uploads"
FILE_HEADER: Final = "Cairn-File"
TUS_HEADERS: Final = (
    "Location",
    "Tus-Resumable",
    "Tus-Version",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Checksum-Algorithm",
    "Upload-Offset",
    "Upload-Length",
    "Upload-Defer-Length",
    "Upload-Metadata",
    "Upload-Expires",
    "Upload-Concat",
    FILE_HEADER,
)
"""What pages of other origins have to be shown."""

_STATUS: Final = {UploadBusy: HTTPStatus.LOCKED, UploadEnded: HTTPStatus.GONE}
_ENDED: Final = {UploadState.EXPIRED, UploadState.ABORTED, UploadState.REJECTED}


class Tus:
    """The ASGI application behind both routes."""

    def __init__(self, backends: Backends, asking: Asking) -> None:
        self._backends = backends
        self._asking = asking

    def routes(self) -> list[BaseRoute]:
        """Where it is found. Methods are judged here, so that a wrong one is answered as tus says."""
        return [Route(PATH, self), Route(f"{PATH}/{{upload_id}}", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._answer(scope, receive)
        except SenderGone:
            return
        except EnvelopeBreach as refused:
            response = problem(refused.status, refused.code, refused.message, request_id_of(scope))
        except Refusal as refusal:
            response = problem_response(refusal, request_id_of(scope))
            response.status_code = _STATUS.get(type(refusal), response.status_code)
        response.headers["Tus-Resumable"] = tus_heads.VERSION
        response.headers.setdefault("Cache-Control", "no-store")
        if response.status_code == HTTPStatus.PRECONDITION_FAILED:
            response.headers["Tus-Version"] = tus_heads.VERSION
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        headers = Headers(scope=scope)
        method = tus_heads.method_of(scope["method"], headers)
        if method == "OPTIONS":
            return self._abilities()
        tus_heads.require_version(headers)
        viewer = await self._asking.viewer(scope)
        if "upload_id" not in scope["path_params"]:
            if method != "POST":
                raise MethodUnsupported(f"{method} is for an upload that was created: POST creates one.")
            return await self._create(scope, receive, viewer)
        async with self._backends.db.reading() as rows:
            upload = await writable_upload(rows, viewer, decode(Prefix.UPLOAD, scope["path_params"]["upload_id"]))
        require_transport(upload, UploadTransport.TUS)
        if method == "HEAD":
            return await self._tell(scope, viewer, upload)
        if method == "PATCH":
            return await self._continue(scope, receive, viewer, upload)
        if method == "DELETE":
            return await self._terminate(scope, viewer, upload)
        raise MethodUnsupported("An upload is asked about by HEAD, continued by PATCH and ended by DELETE.")

    def _abilities(self) -> Response:
        ports = self._backends.ports
        told = {
            "Tus-Version": tus_heads.VERSION,
            "Tus-Extension": tus_heads.EXTENSIONS,
            "Tus-Max-Size": str(ports.policy.maximum_file_bytes),
            "Tus-Checksum-Algorithm": ",".join(tus_heads.ALGORITHMS),
        }
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=told)

    async def _create(self, scope: Scope, receive: Receive, viewer: Viewer) -> Response:
        headers, backends = Headers(scope=scope), self._backends
        creation = tus_heads.creation_of(headers)
        new = _announced(creation)
        if creation.final_of is not None:
            piece_ids = [_id_in(url) for url in creation.final_of]
            return self._created(await concatenate(backends, viewer, new, piece_ids, facts_of(scope)))
        has_piece = tus_heads.has_piece(headers)
        checksum = tus_heads.checksum_of(headers) if has_piece else None
        admission = await admit_upload(backends.db, backends.ports, viewer, new)
        async with backends.db.transaction() as tx:
            upload = await upload_sessions.create_upload(tx, backends.ports, viewer, (new, admission), facts_of(scope))
        if has_piece:
            upload = await arrivals.receive(Piece(backends, upload, 0, _length(headers)), body_of(receive), checksum)
        return self._created(await self._completed(scope, viewer, upload))

    async def _tell(self, scope: Scope, viewer: Viewer, upload: UploadRow) -> Response:
        if upload.state in _ENDED:
            raise has_ended(upload)
        # Whoever asks how far it has come is about to go on from there.
        await take_over(self._backends, upload)
        told = {"Cache-Control": "no-store"}
        if upload.metadata_header is not None:
            told["Upload-Metadata"] = upload.metadata_header
        if upload.is_partial:
            told["Upload-Concat"] = "partial"
        if upload.size is None:
            told["Upload-Defer-Length"] = "1"
        else:
            told["Upload-Length"] = str(upload.size)
        if upload.state != UploadState.COMMITTED:
            upload = upload._replace(received=await reach_of(self._backends, upload))
            # A process that died after the last byte told nobody: to this client the upload is done when it has come.
            upload = await self._completed(scope, viewer, upload)
        return Response(status_code=HTTPStatus.OK, headers=told | self._progress(upload))

    async def _continue(self, scope: Scope, receive: Receive, viewer: Viewer, upload: UploadRow) -> Response:
        headers = Headers(scope=scope)
        tus_heads.require_piece(headers)
        offset, checksum = tus_heads.offset_of(headers), tus_heads.checksum_of(headers)
        size, length = tus_heads.number_of(headers, "upload-length"), _length(headers)
        if upload.state in {UploadState.VERIFYING, UploadState.COMMITTED} and (offset, length) == (upload.size, 0):
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=self._progress(upload))
        if size is not None:
            async with self._backends.db.transaction() as tx:
                upload = await announce_size(tx, self._backends.ports, upload, size)
        piece = Piece(self._backends, upload, offset, length)
        received = await arrivals.receive(piece, body_of(receive), checksum)
        upload = await self._completed(scope, viewer, received)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=self._progress(upload))

    async def _terminate(self, scope: Scope, viewer: Viewer, upload: UploadRow) -> Response:
        if upload.state == UploadState.ABORTED:
            raise has_ended(upload)
        async with self._backends.db.transaction() as tx:
            ended = await upload_sessions.abort_upload(tx, self._backends.ports, viewer, upload.id, facts_of(scope))
        await remove_bytes(self._backends.db, self._backends.store, ended)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _completed(self, scope: Scope, viewer: Viewer, upload: UploadRow) -> UploadRow:
        """The upload, as a file if its last byte has come. Raises the refusal that it met then."""
        if upload.is_partial or upload.size is None or upload.received < upload.size:
            return upload
        completed = await complete_upload(self._backends, viewer, upload, facts_of(scope))
        if completed.state == UploadState.REJECTED and completed.refusal is not None:
            raise read(completed.refusal)
        return completed

    def _created(self, upload: UploadRow) -> Response:
        told = {"Location": tus_url(self._backends.ports, upload)}
        return Response(status_code=HTTPStatus.CREATED, headers=told | self._progress(upload))

    def _progress(self, upload: UploadRow) -> dict[str, str]:
        told = {"Upload-Offset": str(upload.received)}
        if upload.state in {UploadState.OPEN, UploadState.RECEIVING}:
            told["Upload-Expires"] = format_datetime(upload.expires_at, usegmt=True)
        if upload.file_id is not None:
            told[FILE_HEADER] = encode(Prefix.FILE, upload.file_id)
        return told


def _announced(creation: Creation) -> NewUpload:
    """What a POST announces. Clients of the field write `filename` and `filetype`, or `name` and `type`."""
    told = creation.metadata
    name = told.get("filename", told.get("name"))
    if creation.is_partial and name is None:
        name = "part.txt"
    workspace_id = told.get("workspaceId")
    return NewUpload(
        intent=UploadIntent(
            name=None if "replaces" in told else name,
            workspace_id=None if workspace_id is None else decode(Prefix.WORKSPACE, workspace_id),
            digest=told.get("digest"),
            replaces=_replaced(told.get("replaces"), told.get("ifRevision")),
        ),
        transport=UploadTransport.TUS,
        size=creation.size,
        media_type=told.get("filetype", told.get("type")) or None,
        is_partial=creation.is_partial,
        metadata_header=creation.metadata_header,
    )


def _replaced(file_id: str | None, revision: str | None) -> Replaced | None:
    if file_id is None:
        return None
    if revision is not None and not (revision.isascii() and revision.isdecimal() and len(revision) < 10):  # noqa: PLR2004
        raise InvalidInput(message="ifRevision is a number.", path=("ifRevision",))
    return Replaced(decode(Prefix.FILE, file_id), None if revision is None else int(revision))


def _id_in(url: str) -> UUID:
    """The upload that a URL in Upload-Concat names, absolute or not."""
    try:
        path = urlsplit(url).path
    except ValueError:  # such as a bracket that is never closed
        raise TusRefused("Upload-Concat names parts by their URLs, and one of them is no URL.") from None
    return decode(Prefix.UPLOAD, path.rpartition("/")[2])


def _length(headers: Headers) -> int | None:
    value = headers.get("content-length")
    if value is not None:
        return int(value)
    return None if "transfer-encoding" in headers else 0
