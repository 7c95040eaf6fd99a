"""Uploads through the front door: what becomes a file, and what is told when it does not."""

import asyncio
import gzip
import hashlib
import io
import json
import struct
import zipfile
import zlib
from typing import Any

import pytest
from httpx2 import AsyncClient

from api.settings import Settings
from tests.asking import Account, ask, post, sign_up, upload, uploaded
from tests.backstage import stored

UPLOAD_FILES = """
mutation ($files: [UploadFileInput!]!) { uploadFiles(input: { files: $files }) {
  results { file { name size } problems { code path } } problems { code }
} }
"""
UPLOAD_TOLD = """
mutation ($file: Upload!, $digest: String) { uploadFile(input: { file: $file, digest: $digest }) { problems {
  __typename code message path
  ... on MediaTypeNotAllowed { declared detected allowed }
  ... on ExtensionNotAllowed { extension allowed }
  ... on DigestMismatch { expected actual }
  ... on FileTooLarge { limit }
} } }
"""


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\0"))
    + chunk(b"IEND", b"")
)


def zipped(*names: str) -> bytes:
    with zipfile.ZipFile(written := io.BytesIO(), "w") as archive:
        for name in names:
            archive.writestr(name, "<xml/>")
    return written.getvalue()


async def send(
    client: AsyncClient, asker: Account, query: str, variables: dict[str, Any], files: dict[str, tuple[str, bytes]]
) -> Any:
    """The data of a multipart request whose parts are named after the variables that they go to."""
    paths = {name: [f"variables.{name}"] for name in files}
    answer = await client.post(
        "/graphql",
        data={"operations": json.dumps({"query": query, "variables": variables}), "map": json.dumps(paths)},
        files=files,
        headers=asker.headers,
    )
    body = answer.json()
    assert "errors" not in body, body["errors"]
    return body["data"]


async def problems_of(
    client: AsyncClient, asker: Account, name: str, content: bytes, digest: str | None = None
) -> list[dict[str, Any]]:
    """What is told of one upload."""
    variables = {"file": None, "digest": digest}
    data = await send(client, asker, UPLOAD_TOLD, variables, {"file": (name, content)})
    return data["uploadFile"]["problems"]  # type: ignore[no-any-return]


async def test_every_file_of_several_succeeds_or_fails_by_itself(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    files = {
        "files.0.file": ("a.txt", b"first"),
        "files.1.file": ("tool.exe", b"MZ"),
        "files.2.file": ("b.png", b"<!doctype html><script>"),
        "files.3.file": ("c.txt", b"fourth"),
    }
    given: list[dict[str, Any]] = [{"file": None} for _ in files]
    given[3]["name"] = "renamed.md"
    results = (await send(client, ada, UPLOAD_FILES, {"files": given}, files))["uploadFiles"]["results"]
    assert [result["file"] for result in results] == [
        {"name": "a.txt", "size": 5},
        None,
        None,
        {"name": "renamed.md", "size": 6},
    ]
    assert [[problem["code"] for problem in result["problems"]] for result in results] == [
        [],
        ["EXTENSION_NOT_ALLOWED"],
        ["MEDIA_TYPE_NOT_ALLOWED"],
        [],
    ]
    assert len(stored(settings)) == 2


async def test_no_files_at_all_are_no_results(client: AsyncClient) -> None:
    ada = await sign_up(client)
    assert (await ask(client, UPLOAD_FILES, ada, files=[]))["uploadFiles"] == {"results": [], "problems": []}


@pytest.mark.parametrize(
    ("name", "content", "detected"),
    [
        ("photo.png", b"<!doctype html><html><script>alert(1)</script>", "text/html"),
        ("photo.jpg", b"\x7fELF\x02\x01\x01" + bytes(57), None),
        ("photo.jpg", b"MZ" + bytes(62), None),
        ("report.docx", zipped("readme.txt"), "application/zip"),
        ("report.pdf", PNG, "image/png"),
        ("notes.txt", bytes(range(256)), None),
        ("photo.png", b"", None),
    ],
    ids=["html as png", "elf as jpg", "exe as jpg", "zip as docx", "png as pdf", "bytes as txt", "nothing as png"],
)
async def test_bytes_that_are_not_what_the_name_says_are_refused(
    client: AsyncClient, settings: Settings, name: str, content: bytes, detected: str | None
) -> None:
    ada = await sign_up(client)
    [problem] = await problems_of(client, ada, name, content)
    assert (problem["__typename"], problem["code"]) == ("MediaTypeNotAllowed", "MEDIA_TYPE_NOT_ALLOWED")
    assert detected in {None, problem["detected"]}
    assert problem["detected"] not in problem["allowed"]
    assert problem["path"] == ["file"]
    assert stored(settings) == []


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("photo.PNG", PNG, "image/png"),
        ("readme.md", "# Überschrift\n".encode(), "text/markdown"),
        ("data.json", b'{"a": 1}', "application/json"),
        ("empty.txt", b"", "text/plain"),
        ("archive.tar.gz", gzip.compress(b"x"), "application/gzip"),
        (
            "report.docx",
            zipped("[Content_Types].xml", "_rels/.rels", "word/document.xml"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
    ],
    ids=["png", "md", "json", "empty txt", "tar.gz", "docx"],
)
async def test_bytes_that_are_what_the_name_says_become_a_file(
    client: AsyncClient, name: str, content: bytes, media_type: str
) -> None:
    ada = await sign_up(client)
    file = await uploaded(client, ada, name, content)
    assert (file["name"], file["size"], file["mediaType"]) == (name, len(content), media_type)
    assert file["digest"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["run.sh", "a.exe.txt", "noextension", ".txt", "photo.svg"])
async def test_a_name_of_another_kind_is_refused_with_what_is_accepted(client: AsyncClient, name: str) -> None:
    ada = await sign_up(client)
    [problem] = await problems_of(client, ada, name, b"words")
    assert problem["__typename"] == "ExtensionNotAllowed"
    assert "pdf" in problem["allowed"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\fakepath\\a.txt", "a.txt"),
        ("a\u202etxt.b.txt", "atxt.b.txt"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("CON.txt", "CON.txt"),
        ("Mein Bericht (1) — endgültig.txt", "Mein Bericht (1) — endgültig.txt"),
    ],
)
async def test_names_are_data_and_never_paths(client: AsyncClient, settings: Settings, given: str, kept: str) -> None:
    ada = await sign_up(client)
    query = (
        "mutation ($file: Upload!, $name: String) { uploadFile(input: {file: $file, name: $name}) { file { name } } }"
    )
    parts = {"file": ("part.txt", b"words")}
    made = (await send(client, ada, query, {"file": None, "name": given}, parts))["uploadFile"]
    assert made == {"file": {"name": kept}}
    assert all(path.is_relative_to(settings.data_folder) for path in stored(settings))
    assert not any("txt" in path.name for path in stored(settings))


async def test_a_digest_is_compared(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    right, wrong = hashlib.sha256(b"words").hexdigest(), "0" * 64
    for digest in (right, right.upper()):
        assert await problems_of(client, ada, "a.txt", b"words", digest) == []
    [problem] = await problems_of(client, ada, "a.txt", b"words", wrong)
    assert (problem["code"], problem["expected"], problem["actual"]) == ("DIGEST_MISMATCH", wrong, right)
    for digest in ("", "abc", "g" * 64, right + "\n"):
        [problem] = await problems_of(client, ada, "a.txt", b"words", digest)
        assert (problem["code"], problem["path"]) == ("BAD_USER_INPUT", ["digest"])
    assert len(stored(settings)) == 2


async def test_two_files_of_one_name_stay_distinct(client: AsyncClient) -> None:
    ada = await sign_up(client)
    first, second = await asyncio.gather(
        uploaded(client, ada, "same.txt", b"one"), uploaded(client, ada, "same.txt", b"two")
    )
    assert first["id"] != second["id"]
    assert {first["digest"], second["digest"]} == {hashlib.sha256(text).hexdigest() for text in (b"one", b"two")}


async def test_fifty_uploads_at_once_all_become_files(client: AsyncClient, settings: Settings) -> None:
    ada = await sign_up(client)
    contents = [b"%d\n" % number * 5000 for number in range(50)]
    made = await asyncio.gather(*(uploaded(client, ada, f"{n}.txt", content) for n, content in enumerate(contents)))
    assert [file["digest"] for file in made] == [hashlib.sha256(content).hexdigest() for content in contents]
    assert (await ask(client, "{ files { totalCount } }", ada))["files"]["totalCount"] == 50
    assert len(stored(settings)) == 50


@pytest.mark.parametrize("value", ['"text"', "5", "{}", "[]", "null", "true"])
async def test_an_upload_cannot_be_written_as_a_value(client: AsyncClient, value: str) -> None:
    ada = await sign_up(client)
    literal = f"mutation {{ uploadFile(input: {{ file: {value} }}) {{ file {{ id }} }} }}"
    body = (await post(client, literal, ada)).json()
    assert {error["extensions"]["code"] for error in body["errors"]} <= {"GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"}
    body = (await post(client, UPLOAD_TOLD, ada, file=json.loads(value))).json()
    assert {error["extensions"]["code"] for error in body["errors"]} == {"BAD_USER_INPUT"}


async def test_an_upload_goes_to_the_workspace_that_is_named(client: AsyncClient) -> None:
    ada = await sign_up(client)
    workspace = (await ask(client, "{ viewer { account { personalWorkspace { id } } } }", ada))["viewer"]["account"]
    assert (await uploaded(client, ada, workspaceId=workspace["personalWorkspace"]["id"]))["name"] == "notes.txt"
    for nonsense in ("", "wsp_", "file_" + "0" * 32, "wsp_" + "g" * 32, "\0"):
        [problem] = (await upload(client, ada, workspaceId=nonsense))["problems"]
        assert (problem["code"], problem["path"]) == ("NOT_FOUND", ["workspaceId"])


async def test_nobody_uploads_nothing(client: AsyncClient, settings: Settings) -> None:
    answer = await client.post(
        "/graphql",
        data={
            "operations": json.dumps({"query": UPLOAD_TOLD, "variables": {"file": None}}),
            "map": json.dumps({"0": ["variables.file"]}),
        },
        files={"0": ("a.txt", b"words")},
        headers={"GraphQL-Require-Preflight": "1"},
    )
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert stored(settings) == []
