"""Bytes of uploads by PUT to signed URLs that need no header: all at once, or a part."""

import re
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from api.arrivals import receive
from api.asking import request_id_of
from api.bodies import body_of
from api.envelope import SenderGone
from api.problems import problem, problem_response
from api.query_fields import fields_of
from db.rows import UploadRow
from domain.backends import Backends
from domain.errors import BadCredential, Refusal
from domain.pieces import Part, Whole
from domain.receptions import Reception
from domain.upload_sessions import lent_upload
from domain.upload_targets import SignedTarget, judge_target
from schema.ids import Prefix, decode

_EXPIRY: Final = re.compile("[0-9]{1,12}", re.ASCII)
_NUMBER: Final = re.compile("[1-9][0-9]{0,4}", re.ASCII)


class SignedUploads:
    """The ASGI application behind both routes."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    def routes(self) -> list[BaseRoute]:
        """Where it is found. Methods are judged here, so that a wrong one is answered like every other problem."""
        return [
            Route("/uploads/{upload_id}/content", self),
            Route("/uploads/{upload_id}/parts/{number}", self),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._answer(scope, receive)
        except SenderGone:
            return
        except Refusal as refusal:
            response = problem_response(refusal, request_id_of(scope))
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, asgi_receive: Receive) -> Response:
        if scope["method"] != "PUT":
            response = problem(405, "METHOD_NOT_ALLOWED", "Bytes of an upload are PUT here.", request_id_of(scope))
            response.headers["allow"] = "PUT"
            return response
        target = _target(scope["path_params"], fields_of(scope["query_string"]))
        judge_target(self._backends.ports, target)
        async with self._backends.db.reading() as rows:
            upload = await lent_upload(rows, target.upload_id)
        await receive(self._reception(upload, target, Headers(scope=scope)), body_of(asgi_receive))
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"cache-control": "no-store"})

    def _reception(self, upload: UploadRow, target: SignedTarget, headers: Headers) -> Reception:
        value = headers.get("content-length")
        length = None if value is None else int(value)
        if target.number is None:
            return Whole(self._backends, upload, length)
        return Part(self._backends, upload, target.number, length)


def _target(path: dict[str, str], values: dict[str, str]) -> SignedTarget:
    expires, number = values.get("expires", ""), path.get("number")
    if not _EXPIRY.fullmatch(expires) or (number is not None and not _NUMBER.fullmatch(number)):
        raise BadCredential(message="The URL is not valid.")
    return SignedTarget(
        upload_id=decode(Prefix.UPLOAD, path["upload_id"]),
        number=None if number is None else int(number),
        expires=int(expires),
        signature=values.get("signature", ""),
    )
