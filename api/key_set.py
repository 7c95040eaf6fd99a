"""`/.well-known/jwks.json`: the public keys that other services verify access tokens with (RFC 7517)."""

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from domain.tokens import TokenIssuer

PATH = "/.well-known/jwks.json"
KEPT_SECONDS = 300


def key_set_route(tokens: TokenIssuer) -> BaseRoute:
    """The key set as it was at the start; empty where tokens are signed with a shared secret."""
    body = orjson.dumps({"keys": list(map(dict, tokens.public_keys))})
    headers = {"cache-control": f"public, max-age={KEPT_SECONDS}"}

    async def key_set(_request: Request) -> Response:
        return Response(body, headers=headers, media_type="application/jwk-set+json")

    return Route(PATH, key_set, methods=["GET"])
