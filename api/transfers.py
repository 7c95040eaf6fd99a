"""Files on their way out: `/files/{id}/download` and the same for one version, for a viewer or a signed link.

Raw ASGI, because the bytes are what matters here. What is sent of them is decided in `api.ranges`, who may have them
in `domain.downloads`.
"""

import re
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias
from uuid import UUID

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Message, Receive, Scope, Send

from api.asking import Asking, request_id_of
from api.credentials import address_of, credential_of
from api.logs import get_logger
from api.outflow import Outflow
from api.problems import problem, problem_response
from api.query_fields import fields_of
from api.ranges import (
    NOT_MODIFIED,
    PARTIAL_CONTENT,
    PRECONDITION_FAILED,
    RANGE_NOT_SATISFIABLE,
    UNCONDITIONAL,
    Conditions,
    Content,
    Decision,
    content_disposition,
    content_range,
    decide,
    format_date,
)
from api.recorder import DownloadRecorder
from api.zero_copy import ZERO_COPY
from db.engine import Database
from domain.downloads import Disposition, Download, SignedDownload, Wanted, open_all, wanted_by
from domain.errors import BadCredential, FileDamaged, InvalidInput, NotFound, NotSignedIn, Refusal, Unavailable
from domain.events import RequestFacts
from domain.files import NO_SUCH_FILE
from domain.key_downloads import KeyRequest, open_by_key
from domain.media import inline_allowed, safe_media_type
from domain.ports import Ports
from domain.tokens import Holder
from domain.viewer import Viewer
from schema.ids import Prefix, decode
from storage.store import BlobAltered, BlobMissing, BlobStore, LocalFile, LocalFiles, StoreError

Field: TypeAlias = tuple[bytes, bytes]

AT_ONCE_BYTES = 64 * 1024
REMEMBERED = 1024
EXPIRY = re.compile("[0-9]{1,12}", re.ASCII)
CONDITION_FIELDS = {name.replace("_", "-").encode(): name for name in Conditions._fields}
# The bytes are somebody's, not ours: no browser may run them, guess at them or embed them elsewhere, and a cache asks
# each time, since the right may be gone.
FIXED_FIELDS: Final[Sequence[Field]] = [
    (b"accept-ranges", b"bytes"),
    (b"cache-control", b"private, no-cache"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
]

_log = get_logger(__name__)


class Opened(NamedTuple):
    """A download that was granted, and how a browser may treat it."""

    download: Download
    disposition: Disposition


class _RouteOfIds(Route):
    """A route with nothing to convert and for every method: the other takes as long to see that as to find it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope.get("root_path"):
            return super().matches(scope)
        found = self.path_regex.match(scope["path"])
        if found is None:
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self.endpoint, "path_params": found.groupdict()}


class Pieces(NamedTuple):
    """The bytes of a blob, of which the first are here: that there is a blob is certain then."""

    first: bytes
    rest: AsyncGenerator[bytes, None]


class Transfers:
    """The ASGI application behind both routes."""

    def __init__(
        self, db: Database, store: BlobStore, ports: Ports, recorder: DownloadRecorder, asking: Asking
    ) -> None:
        self._db = db
        self._store = store
        self._files = store if isinstance(store, LocalFiles) else None
        self._ports = ports
        self._recorder = recorder
        self._asking = asking

    def routes(self) -> list[BaseRoute]:
        """Where it is found. Methods are judged here, so that a wrong one is answered like every other problem."""
        return [
            _RouteOfIds("/files/{file_id}/download", self),
            _RouteOfIds("/files/{file_id}/versions/{version_id}/download", self),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._answer(scope, receive, send)
        except Refusal as refusal:
            await problem_response(refusal, request_id_of(scope))(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            response = problem(405, "METHOD_NOT_ALLOWED", "Files are read with GET or HEAD.", request_id_of(scope))
            response.headers["allow"] = "GET, HEAD"
            await response(scope, receive, send)
            return
        opened = await self._open(scope)
        content = _content(opened.download)
        wants_bytes = scope["method"] == "GET"
        decision = decide(_conditions(scope), content, wants_bytes=wants_bytes, now=self._ports.clock.now())
        if decision.status in {PRECONDITION_FAILED, RANGE_NOT_SATISFIABLE}:
            await self._decline(decision, content, scope, receive, send)
        elif decision.status == NOT_MODIFIED or not wants_bytes:
            await send(_head(opened, content, decision))
            await send({"type": "http.response.body"})
        else:
            await self._transfer(
                opened.download, _head(opened, content, decision), decision, scope, Outflow(receive, send)
            )

    async def _open(self, scope: Scope) -> Opened:
        values = fields_of(scope["query_string"])
        if "signature" in values:
            link = _signed(scope["path_params"], values)
            download = await self._db.ask(open_all, wanted_by(self._ports, link))
            if download is None:
                raise NotFound(message=NO_SUCH_FILE)
            return Opened(download.require_whole(), link.disposition)
        disposition = _disposition(values["disposition"]) if "disposition" in values else Disposition.ATTACHMENT
        return Opened((await self._open_for_viewer(scope)).require_whole(), disposition)

    async def _open_for_viewer(self, scope: Scope) -> Download:
        """Opened with one select, which finds nothing once the session has ended; only then is asked who it is."""
        credential = credential_of(scope["headers"])
        if credential is None:
            raise NotSignedIn
        if credential.is_api_key:
            return await self._open_by_key(credential.text, scope)
        holder = self._ports.tokens.verify(credential.text, self._ports.clock.now())
        await self._asking.counting.request(scope, Viewer(holder.user_id))
        download = await self._db.ask(open_all, _wanted(holder, scope["path_params"]))
        if download is None:
            await self._asking.authenticator.viewer_of(scope)
            raise NotFound(message=NO_SUCH_FILE)
        return download

    async def _open_by_key(self, secret: str, scope: Scope) -> Download:
        request = KeyRequest(secret, address_of(scope), *_ids(scope["path_params"]))
        opened = await open_by_key(self._db, self._ports.clock, request)
        self._asking.authenticator.key_uses.note(opened.holder)
        await self._asking.counting.request(scope, opened.holder.viewer)
        if opened.download is None:
            raise NotFound(message=NO_SUCH_FILE)
        return opened.download

    async def _decline(self, decision: Decision, content: Content, scope: Scope, receive: Receive, send: Send) -> None:
        if decision.status == RANGE_NOT_SATISFIABLE:
            detail = f"The file has {content.size} bytes; the range lies outside."
            response = problem(decision.status, "RANGE_NOT_SATISFIABLE", detail, request_id_of(scope))
            response.headers["content-range"] = content_range(decision, content.size)
        else:
            detail = "The file is not the one that the request names."
            response = problem(decision.status, "PRECONDITION_FAILED", detail, request_id_of(scope))
        response.headers["etag"] = content.etag
        await response(scope, receive, send)

    async def _transfer(
        self, download: Download, head: Message, decision: Decision, scope: Scope, outflow: Outflow
    ) -> None:
        start, end = decision.start, decision.end
        source = await self._source(download, start, end, scope)
        trail = self._recorder.begin(download, _facts(scope), is_range=decision.status == PARTIAL_CONTENT)
        try:
            if isinstance(source, bytes):
                await outflow.run_whole(head, source)
            elif isinstance(source, Pieces):
                await outflow.run(head, source.first, source.rest, end - start)
            else:
                await outflow.run_file(head, source, start, end)
        finally:
            self._recorder.end(trail, outflow.sent)

    async def _source(self, download: Download, start: int, end: int, scope: Scope) -> bytes | LocalFile | Pieces:
        """The bytes if they are few and in memory, the blob as a file if the server can send files, else in pieces."""
        key, size = download.blob_key, download.size
        try:
            if self._files is not None and end - start > AT_ONCE_BYTES and ZERO_COPY in (scope.get("extensions") or {}):
                return _of_size(await self._files.open_file(key), size)
            if self._files is not None and end - start <= AT_ONCE_BYTES:
                body = self._files.read_at_once(key, start, end, size=size)
                if body is not None:
                    return body
            rest = self._store.read(key, start, end, size=size)
            return Pieces(await anext(rest, b""), rest)
        except StoreError as fault:
            # Purged between the select and the read: then it is not found now. Otherwise a row points at lost bytes.
            await self._open(scope)
            _log.exception("bytes missing", path=scope["path"], key=key)
            if isinstance(fault, BlobMissing | BlobAltered):
                raise FileDamaged from fault
            raise Unavailable(message="The bytes of this file cannot be read for now.") from fault


def _of_size(file: LocalFile, size: int) -> LocalFile:
    """The file, if it has so many bytes. Raises BlobAltered."""
    if file.size != size:
        file.close()
        raise BlobAltered(f"{file.size} bytes lie there instead of {size}")
    return file


def _facts(scope: Scope) -> RequestFacts:
    return RequestFacts(request_id_of(scope), address_of(scope))


def _disposition(text: str) -> Disposition:
    try:
        return Disposition(text)
    except ValueError as error:
        raise InvalidInput(message="The disposition is `attachment` or `inline`.", path=("disposition",)) from error


def _wanted(holder: Holder, path: dict[str, str]) -> Wanted:
    file_id, version_id = _ids(path)
    return Wanted(holder.user_id, file_id, version_id, holder.session_id)


def _ids(path: dict[str, str]) -> tuple[UUID, UUID | None]:
    version_id = decode(Prefix.VERSION, path["version_id"]) if "version_id" in path else None
    return decode(Prefix.FILE, path["file_id"]), version_id


def _signed(path: dict[str, str], values: dict[str, str]) -> SignedDownload:
    disposition, expires = values.get("disposition"), values.get("expires", "")
    if disposition not in set(Disposition) or not EXPIRY.fullmatch(expires) or "version_id" not in path:
        raise BadCredential(message="The link is not valid.")
    return SignedDownload(
        file_id=decode(Prefix.FILE, path["file_id"]),
        version_id=decode(Prefix.VERSION, path["version_id"]),
        disposition=Disposition(disposition),
        expires=int(expires),
        signer_id=decode(Prefix.USER, values.get("signer", "")),
        signature=values["signature"],
    )


def _conditions(scope: Scope) -> Conditions:
    found: dict[str, str] = {}
    for name, raw in scope["headers"]:
        if name in CONDITION_FIELDS:
            field, value = CONDITION_FIELDS[name], raw.decode("latin-1")
            found[field] = f"{found[field]}, {value}" if field in found else value
    return Conditions(**found) if found else UNCONDITIONAL


def _content(download: Download) -> Content:
    # Two contents of one file may carry the same second; the first one, and one that was named, stand alone.
    is_dated_apart = download.is_pinned or download.number == 1
    return Content(download.size, f'"{download.digest}"', download.modified_at, is_dated_apart)


def _head(opened: Opened, content: Content, decision: Decision) -> Message:
    fields = [*_content_fields(content.etag, content.modified_at), *FIXED_FIELDS]
    if decision.status != NOT_MODIFIED:
        download = opened.download
        fields += _body_fields(download.media_type, download.name, opened.disposition)
        fields.append((b"content-length", b"%d" % (decision.end - decision.start)))
    if decision.status == PARTIAL_CONTENT:
        fields.append((b"content-range", content_range(decision, content.size).encode()))
    return {"type": "http.response.start", "status": decision.status, "headers": fields}


# What is asked for once is often asked for again, and to write these costs as much as to read a small file.
@lru_cache(maxsize=REMEMBERED)
def _content_fields(etag: str, modified_at: datetime) -> Sequence[Field]:
    return (b"etag", etag.encode()), (b"last-modified", format_date(modified_at).encode())


@lru_cache(maxsize=REMEMBERED)
def _body_fields(media_type: str, name: str, wanted: Disposition) -> Sequence[Field]:
    disposition = wanted if inline_allowed(media_type) else Disposition.ATTACHMENT
    return (
        (b"content-type", safe_media_type(media_type).encode()),
        (b"content-disposition", content_disposition(disposition, name).encode()),
    )
