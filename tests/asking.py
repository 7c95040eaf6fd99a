"""Asking the service as a client does: GraphQL over HTTP, in this process or through a socket."""

import json
from dataclasses import dataclass
from typing import Any

from httpx2 import AsyncClient, Response

PASSWORD = "a quiet harbour at dusk"
HASHING_BYTES = 8 * 1024
"""Memory for a hash, the least that argon2 knows: real ones were a quarter of what tests cost."""

SIGNUP = """
mutation Signup($input: SignupInput!) {
  signup(input: $input) {
    user { id } accessToken refreshToken problems { code message path }
  }
}
"""
LOGIN = """
mutation Login($input: LoginInput!) {
  login(input: $input) { user { id } accessToken refreshToken problems { code message path } }
}
"""
CREATE_KEY = """
mutation Create($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { apiKey { id } secret problems { code message path } }
}
"""
UPLOAD = """
mutation Upload($input: UploadFileInput!) {
  uploadFile(input: $input) {
    file { id name size mediaType digest } problems { code message path }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who has signed up."""

    id: str
    username: str
    token: str
    refresh_token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What a request of theirs says."""
        return {"Authorization": f"Bearer {self.token}"}


async def post(client: AsyncClient, query: str, asker: Account | None = None, **variables: Any) -> Response:
    """The answer to a GraphQL request, whatever it is."""
    body = {"query": query, "variables": variables}
    return await client.post("/graphql", json=body, headers=asker.headers if asker else {})


async def ask(client: AsyncClient, query: str, asker: Account | None = None, **variables: Any) -> Any:
    """The data of an answer that has no errors."""
    answer = (await post(client, query, asker, **variables)).json()
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


async def sign_up(client: AsyncClient, username: str = "ada") -> Account:
    """A new account, signed in."""
    given = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
    payload = (await ask(client, SIGNUP, input=given))["signup"]
    assert payload["problems"] == []
    return Account(payload["user"]["id"], username, payload["accessToken"], payload["refreshToken"])


async def personal_workspace(client: AsyncClient, asker: Account) -> str:
    """The id of the workspace that their files go to."""
    data = await ask(client, "{ viewer { account { personalWorkspace { id } } } }", asker)
    found: str = data["viewer"]["account"]["personalWorkspace"]["id"]
    return found


async def log_in(client: AsyncClient, username: str = "ada", password: str = PASSWORD) -> Any:
    """The payload of a login."""
    return (await ask(client, LOGIN, input={"username": username, "password": password}))["login"]


async def create_key(client: AsyncClient, owner: Account, *scopes: str, **terms: Any) -> Account:
    """A program that asks in the name of the owner, with a key of these scopes."""
    given = {"name": "a program", "scopes": scopes, **terms}
    payload = (await ask(client, CREATE_KEY, owner, input=given))["createApiKey"]
    assert payload["problems"] == []
    return Account(payload["apiKey"]["id"], owner.username, payload["secret"])


async def upload(
    client: AsyncClient, asker: Account, name: str = "notes.txt", content: bytes = b"a few words\n", **given: Any
) -> Any:
    """The payload of an upload: `file` and `problems`."""
    operations = {"query": UPLOAD, "variables": {"input": {"file": None, **given}}}
    answer = await client.post(
        "/graphql",
        data={"operations": json.dumps(operations), "map": json.dumps({"0": ["variables.input.file"]})},
        files={"0": (name, content)},
        headers=asker.headers,
    )
    body = answer.json()
    assert "errors" not in body, body["errors"]
    return body["data"]["uploadFile"]


async def uploaded(
    client: AsyncClient, asker: Account, name: str = "notes.txt", content: bytes = b"a few words\n", **given: Any
) -> Any:
    """The file of an upload that works."""
    payload = await upload(client, asker, name, content, **given)
    assert payload["problems"] == []
    return payload["file"]
