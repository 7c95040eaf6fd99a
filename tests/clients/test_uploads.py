"""The clients that people use, each sending, finding and fetching files as its documentation shows it."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from gql import Client, FileVar, GraphQLRequest, gql
from gql.transport.aiohttp import AIOHTTPTransport

from tests.live import Live
from tests.machine import absent, program

HERE = Path(__file__).parent
PASSWORD = "three clients and one service"

UPLOAD = """
mutation UploadFile($input: UploadFileInput!) {
  uploadFile(input: $input) { file { id name size digest } problems { code message } }
}
"""

FILES = "{ files(first: 10, orderBy: { field: NAME, direction: ASC }) { edges { node { id name size digest } } } }"


@pytest.fixture
def chosen(tmp_path: Path) -> list[Path]:
    """Two files to upload: one of several pieces on any way, one small with a name that is not ASCII."""
    large, small = tmp_path / "large.csv", tmp_path / "kleine Größe.txt"
    large.write_text("".join(f"{row},{row * row},a line of a table\n" for row in range(80_000)))
    small.write_text("a few words\n")
    return [large, small]


def node_command(script: str, *arguments: str | Path) -> list[str | Path]:
    """How to start a client of tests/clients."""
    node = program("node")
    if not (HERE / "node_modules").exists():
        absent("node", "tests/clients has no node_modules: run npm ci there")
    return [node, HERE / script, *arguments]


async def run_node(script: str, *arguments: str | Path) -> Any:
    """What a client of tests/clients printed; its error output fails the test."""
    done = await anyio.run_process(node_command(script, *arguments), check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


async def download(served: Live, token: str, file_id: str) -> bytes:
    """The bytes of a file, as they come back."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{served.url}/files/{file_id}/download") as answer,
    ):
        assert answer.status == 200
        return await answer.read()


async def assert_kept(served: Live, token: str, files: list[dict[str, Any]], sent: dict[str, Path]) -> None:
    """Every file has the name it was sent with, and the bytes of where it came from."""
    assert [file["name"] for file in files] == list(sent)
    for file, path in zip(files, sent.values(), strict=True):
        content = path.read_bytes()
        assert (file["size"], file["digest"]) == (len(content), sha256(content).hexdigest())
        assert await download(served, token, file["id"]) == content


def by_name(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(files, key=lambda file: str(file["name"]).casefold())


async def test_apollo_client_uploads_a_file_and_the_same_file_twice(served: Live, chosen: list[Path]) -> None:
    large, small = chosen
    told = await run_node("apollo.mjs", f"{served.url}/graphql", "apollo", large, small)
    assert told["viewer"]["username"] == "apollo"
    sent = {large.name: large, small.name: small, f"again-{small.name}": small}
    await assert_kept(served, told["token"], told["uploaded"], sent)
    assert told["listed"] == by_name(told["uploaded"])


async def test_urql_uploads_one_file_and_two_at_once(served: Live, chosen: list[Path]) -> None:
    large, small = chosen
    told = await run_node("urql.mjs", f"{served.url}/graphql", "urql", large, small)
    assert told["viewer"]["username"] == "urql"
    sent = {large.name: large, small.name: small, f"again-{large.name}": large}
    await assert_kept(served, told["token"], told["uploaded"], sent)
    assert told["listed"] == by_name(told["uploaded"])


async def sign_up(served: Live, username: str) -> str:
    """A new account's access token, asked for with gql."""
    document = "mutation ($input: SignupInput!) { signup(input: $input) { accessToken problems { message } } }"
    account = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
    async with Client(transport=AIOHTTPTransport(url=f"{served.url}/graphql")) as session:
        answer = await session.execute(GraphQLRequest(document, variable_values={"input": account}))
    token: str = answer["signup"]["accessToken"]
    return token


async def upload_with_gql(served: Live, token: str, file: FileVar, name: str | None = None) -> list[dict[str, Any]]:
    """Upload and list in one session that first fetches the schema and checks both requests against it."""
    transport = AIOHTTPTransport(url=f"{served.url}/graphql", headers={"Authorization": f"Bearer {token}"})
    variables = {"input": {"file": file} | ({"name": name} if name else {})}
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        answer = await session.execute(GraphQLRequest(UPLOAD, variable_values=variables), upload_files=True)
        assert answer["uploadFile"]["problems"] == []
        listed = (await session.execute(gql(FILES)))["files"]["edges"]
    assert [edge["node"] for edge in listed] == [answer["uploadFile"]["file"]]
    return [answer["uploadFile"]["file"]]


async def test_gql_uploads_a_file(served: Live, chosen: list[Path]) -> None:
    token = await sign_up(served, "gql")
    files = await upload_with_gql(served, token, FileVar(str(chosen[0])))
    await assert_kept(served, token, files, {chosen[0].name: chosen[0]})


async def test_gql_streams_a_file_whose_part_has_no_name(served: Live, chosen: list[Path]) -> None:
    token = await sign_up(served, "gql-streams")
    files = await upload_with_gql(served, token, FileVar(str(chosen[0]), streaming=True), name="streamed.csv")
    await assert_kept(served, token, files, {"streamed.csv": chosen[0]})


async def test_gql_streams_what_a_generator_gives(served: Live, chosen: list[Path]) -> None:
    async def pieces() -> Any:
        async with await anyio.open_file(chosen[0], "rb") as file:
            while piece := await file.read(10_000):
                yield piece

    token = await sign_up(served, "gql-generates")
    files = await upload_with_gql(served, token, FileVar(pieces(), filename="generated.csv"))
    await assert_kept(served, token, files, {"generated.csv": chosen[0]})


async def test_gql_streams_one_download_into_the_next_upload(served: Live, chosen: list[Path]) -> None:
    token = await sign_up(served, "gql-copies")
    [file] = await upload_with_gql(served, token, FileVar(str(chosen[0])))
    headers = {"Authorization": f"Bearer {token}"}
    transport = AIOHTTPTransport(url=f"{served.url}/graphql", headers=headers)
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{served.url}/files/{file['id']}/download") as answer,
        Client(transport=transport) as client,
    ):
        copy = FileVar(answer.content, filename="copy.csv")
        result = await client.execute(
            GraphQLRequest(UPLOAD, variable_values={"input": {"file": copy}}), upload_files=True
        )
    await assert_kept(served, token, [result["uploadFile"]["file"]], {"copy.csv": chosen[0]})
