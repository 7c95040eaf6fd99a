"""Keys that change while people are signed in, and those that others verify with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import pytest
from httpx2 import ASGITransport, AsyncClient

from api.app import create_app
from api.settings import Settings
from tests.asking import ask, sign_up, uploaded
from tests.lifespan import running

NEW, OLD = "n" * 32, "o" * 32
PEM = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
"""
REFRESH = """
mutation ($token: String!) { refreshSession(input: { refreshToken: $token }) { accessToken refreshToken } }
"""
VIEWER = "{ viewer { username } }"
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@asynccontextmanager
async def started(settings: Settings, **changes: str) -> AsyncIterator[AsyncClient]:
    """The service started with other keys over the same data."""
    app = create_app(Settings.model_validate(settings.model_dump() | changes))
    async with (
        running(app),
        AsyncClient(transport=ASGITransport(app), base_url=settings.public_url) as client,
    ):
        yield client


async def test_without_a_signing_key_the_set_is_empty(client: AsyncClient) -> None:
    answer = await client.get("/.well-known/jwks.json")
    assert answer.json() == {"keys": []}
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert (await client.post("/.well-known/jwks.json")).status_code == 405


@SQLITE
async def test_somebody_else_verifies_an_access_token_with_the_published_keys(settings: Settings) -> None:
    async with started(settings, signing_key=PEM) as client:
        account = await sign_up(client)
        answer = await client.get("/.well-known/jwks.json")
        keys = jwt.PyJWKSet.from_dict(answer.json())
        claims = jwt.decode(
            account.token,
            keys[jwt.get_unverified_header(account.token)["kid"]],
            audience="cairn",
            issuer=settings.public_url,
        )
        assert claims["sub"] == account.id.removeprefix("user_")
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert "PRIVATE" not in answer.text
        assert '"d"' not in answer.text
        assert (await ask(client, VIEWER, account))["viewer"] == {"username": "ada"}


@SQLITE
async def test_a_secret_is_changed_without_signing_anybody_out(settings: Settings) -> None:
    async with started(settings, secret_key=OLD) as client:
        account = await sign_up(client)
        file = await uploaded(client, account)
        query = "query ($id: ID!) { file(id: $id) { downloadUrl } }"
        url = (await ask(client, query, account, id=file["id"]))["file"]["downloadUrl"]
    for keys in ({"secret_key": f"{NEW},{OLD}"}, {"secret_key": f"{NEW},{OLD}", "signing_key": PEM}):
        async with started(settings, **keys) as client:
            assert (await ask(client, VIEWER, account))["viewer"] == {"username": "ada"}
            assert (await client.get(url)).status_code == 200
    async with started(settings, secret_key=NEW) as client:
        answer = await client.post("/graphql", json={"query": VIEWER}, headers=account.headers)
        assert answer.status_code == 401
        assert (await client.get(url)).status_code == 401
        payload = (await ask(client, REFRESH, token=account.refresh_token))["refreshSession"]
        assert payload["accessToken"], "a refresh token is a row, and no key is needed to know it"
