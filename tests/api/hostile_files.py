"""Hostile requests whose file parts are wrong: some refuse the request, others only the file."""

from hashlib import sha256
from typing import Any

from tests.api.bodies import json_part, operations, part
from tests.api.hostile import (
    END,
    FILE,
    MAP,
    MAXIMUM_FILE_BYTES,
    MAXIMUM_REQUEST_BYTES,
    OPERATIONS,
    Case,
    after,
    complete,
    several,
)

OTHER = part("other", b"", filename="a.txt")
ONE_INPUT = """
mutation ($one: UploadFileInput!) { uploadFile(input: $one) { file { id } problems { code message path } } }
"""
MAP_OF_INPUT = json_part("map", {"0": ["variables.one.file"]})
ELSEWHERE = "wsp_" + "0" * 31 + "1"


def with_input(**given: Any) -> bytes:
    """Operations and map of an upload with more in its input than the file."""
    return after(operations(ONE_INPUT, {"one": {"file": None, **given}}), MAP_OF_INPUT)


def named(filename: str | bytes) -> bytes:
    """The head of a file part with this filename."""
    raw = filename if isinstance(filename, bytes) else filename.encode()
    return part("0", b"", head=b"").replace(b'name="0"', b'name="0"; filename="' + raw + b'"')


BREACHES = [
    Case("a part that is not in the map", 400, "UPLOAD_MAP_INVALID", after(OPERATIONS, MAP, OTHER)),
    Case(
        "a part that is not in the map, after the file", 400, "UPLOAD_MAP_INVALID", after(OPERATIONS, MAP, FILE, OTHER)
    ),
    Case("a field that is not in the map", 400, "UPLOAD_MAP_INVALID", after(OPERATIONS, MAP, part("comment", b""))),
    Case("the map a second time", 400, "UPLOAD_MAP_INVALID", after(OPERATIONS, MAP, part("map", b""))),
    Case("operations again after the map", 400, "UPLOAD_MAP_INVALID", after(OPERATIONS, MAP, part("operations", b""))),
    Case(
        "a name in another case",
        400,
        "UPLOAD_MAP_INVALID",
        after(OPERATIONS, json_part("map", {"a": ["variables.file"]}), part("A", b"")),
    ),
    Case("a part twice", 400, "MULTIPART_INVALID", after(OPERATIONS, MAP, FILE, named("b.txt"))),
    Case("a part twice with another missing", 400, "MULTIPART_INVALID", after(several(2), FILE, named("b.txt"))),
    Case("no file", 400, "MULTIPART_INVALID", after(OPERATIONS, MAP) + END),
    Case("one file of two", 400, "MULTIPART_INVALID", after(several(2), FILE) + END),
    Case(
        "a file for a map without files",
        400,
        "UPLOAD_MAP_INVALID",
        after(operations("{ __typename }"), json_part("map", {}), OTHER),
    ),
    Case(
        "a body over its limit that declares none",
        413,
        "REQUEST_TOO_LARGE",
        after(several(2), part("0", b"", filename="a.txt") + bytes(MAXIMUM_REQUEST_BYTES)),
        headers={"transfer-encoding": "chunked"},
    ),
    Case(
        "a wrong length in the part that is refused",
        400,
        "MULTIPART_INVALID",
        complete(several(2), part("0", b"123", filename="a.exe", head=b"Content-Length: 4\r\n")),
    ),
]

TOO_LARGE = MAXIMUM_FILE_BYTES + 1

PROBLEMS = [
    *(
        Case(f"a file called {name!r}", 200, code, after(OPERATIONS, MAP, named(name)))
        for name, code in {
            "a.exe": "EXTENSION_NOT_ALLOWED",
            "a.EXE": "EXTENSION_NOT_ALLOWED",
            "a.exe.txt": "EXTENSION_NOT_ALLOWED",
            "a.txt.exe": "EXTENSION_NOT_ALLOWED",
            "a.php": "EXTENSION_NOT_ALLOWED",
            "a.": "EXTENSION_NOT_ALLOWED",
            "a": "EXTENSION_NOT_ALLOWED",
            "txt": "EXTENSION_NOT_ALLOWED",
            "a.exe ": "EXTENSION_NOT_ALLOWED",
            "a.exe%00.txt": "EXTENSION_NOT_ALLOWED",
            "a.txt%00.exe": "EXTENSION_NOT_ALLOWED",
            "a\N{RIGHT-TO-LEFT OVERRIDE}txt.exe": "EXTENSION_NOT_ALLOWED",
            "a.e\N{ZERO WIDTH SPACE}xe": "EXTENSION_NOT_ALLOWED",
            "a.txt/b.exe": "EXTENSION_NOT_ALLOWED",
            "../../etc/passwd": "EXTENSION_NOT_ALLOWED",
            "": "BAD_USER_INPUT",
            "   ": "BAD_USER_INPUT",
            "..": "BAD_USER_INPUT",
            "../": "BAD_USER_INPUT",
            "a.txt/": "BAD_USER_INPUT",
            "x" * 252 + ".txt": "BAD_USER_INPUT",
            "%E2%82%AC" * 90 + ".txt": "BAD_USER_INPUT",
        }.items()
    ),
    Case("a file without a name", 200, "BAD_USER_INPUT", after(OPERATIONS, MAP, part("0", b""))),
    Case(
        "a name in the input that is not allowed",
        200,
        "EXTENSION_NOT_ALLOWED",
        after(with_input(name="a.exe"), named("a.txt")),
    ),
    Case(
        "half a surrogate for a name",
        400,
        "BAD_REQUEST",
        complete(part("operations", b'{"query": "{ __typename }", "variables": {"a": "\\ud800"}}')),
    ),
    Case("a digest that is none", 200, "BAD_USER_INPUT", complete(with_input(digest="xyz"))),
    Case("another workspace", 200, "NOT_FOUND", complete(with_input(workspaceId=ELSEWHERE))),
    Case("a workspace that is none", 200, "NOT_FOUND", complete(with_input(workspaceId="file_1"))),
    Case(
        "another digest",
        200,
        "DIGEST_MISMATCH",
        after(with_input(digest=sha256(b"other").hexdigest()), FILE) + END,
        rest=b"",
    ),
    Case(
        "a file that declares too much",
        200,
        "FILE_TOO_LARGE",
        after(OPERATIONS, MAP, part("0", b"", filename="a.txt", head=f"Content-Length: {TOO_LARGE}\r\n".encode())),
    ),
    Case(
        "a request that declares too much for its file",
        200,
        "FILE_TOO_LARGE",
        after(OPERATIONS, MAP, part("0", b"", filename="a.txt")),
        headers={"content-length": str(MAXIMUM_FILE_BYTES + 5000)},
    ),
    Case(
        "a file that has too much",
        200,
        "FILE_TOO_LARGE",
        after(OPERATIONS, MAP, part("0", bytes(TOO_LARGE), filename="a.txt")),
        headers={"transfer-encoding": "chunked"},
    ),
    *(
        Case(
            f"{name} that is none",
            200,
            "MEDIA_TYPE_NOT_ALLOWED",
            after(OPERATIONS, MAP, part("0", content, filename=name)) + END,
            rest=b"",
        )
        for name, content in {
            "a.png": b"<html><script>alert(1)</script></html>",
            "a.jpg": b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + bytes(200),
            "a.pdf": b"#!/bin/sh\necho hello\n",
            "a.docx": b"PK\x05\x06" + bytes(18),
        }.items()
    ),
]

FIRST_OF_TWO = Case(
    "two files that are refused",
    200,
    "EXTENSION_NOT_ALLOWED",
    after(several(2), part("0", b"x", filename="a.exe"), part("1", b"", filename="b.exe")),
)

FILES = [*BREACHES, *PROBLEMS, FIRST_OF_TWO]
