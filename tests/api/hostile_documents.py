"""Hostile requests whose operations, variables and maps are wrong."""

from typing import Any

import orjson

from tests.api.bodies import UPLOAD_MANY, UPLOAD_ONE, json_part, operations, part
from tests.api.hostile import MAP, MAXIMUM_FILES, OPERATIONS, Case, after, complete, several

GOOD = {"query": UPLOAD_ONE, "variables": {"file": None}}
UPLOAD = "uploadFile(input: {file: $file}) { problems { code } }"

NO_OPERATIONS: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b"   ",
    "null": b"null",
    "a number": b"7",
    "text": b'"{ viewer { id } }"',
    "a document": b"{ viewer { id } }",
    "a batch": orjson.dumps([GOOD]),
    "an empty batch": b"[]",
    "two objects": orjson.dumps(GOOD) * 2,
    "half an object": orjson.dumps(GOOD)[:-1],
    "a trailing comma": orjson.dumps(GOOD)[:-1] + b",}",
    "a comment": orjson.dumps(GOOD) + b"// done",
    "not a number": b'{"query": "{ viewer { id } }", "variables": {"a": NaN}}',
    "a key twice": b'{"query": "{ viewer { id } }", "query": "{ node(id: 1) { id } }"}',
    "bytes that are no text": b'{"query": "\xff\xfe"}',
    "half a surrogate": b'{"query": "{ node(id: \\"\\ud800\\") { id } }"}',
    "UTF-16": orjson.dumps(GOOD).decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + orjson.dumps(GOOD),
    "deep lists": b"[" * 19_000,
    "deep objects": b'{"a":' * 15_000,
    "deep variables": b'{"query": "{ viewer { id } }", "variables": {"a": ' + b"[" * 2000 + b"]" * 2000 + b"}}",
    "no query": b"{}",
    "a null query": b'{"query": null}',
    "a list for a query": b'{"query": ["{ viewer { id } }"]}',
    "a number for a query": b'{"query": 7}',
    "a list of variables": b'{"query": "{ viewer { id } }", "variables": []}',
    "text for variables": b'{"query": "{ viewer { id } }", "variables": "{}"}',
    "a number for a name": b'{"query": "{ viewer { id } }", "operationName": 7}',
    "extensions that are none": b'{"query": "{ viewer { id } }", "extensions": 7}',
}

BAD_DOCUMENTS: dict[str, tuple[str, str]] = {
    "an empty document": ("GRAPHQL_PARSE_FAILED", ""),
    "a document that is none": ("GRAPHQL_PARSE_FAILED", "mutation {"),
    "a NUL": ("GRAPHQL_PARSE_FAILED", "{ viewer { id } }\x00"),
    "two operations": ("OPERATION_NOT_FOUND", "query a { viewer { id } } query b { viewer { id } }"),
    "an unknown field": ("GRAPHQL_VALIDATION_FAILED", "mutation ($file: Upload!) { send(file: $file) }"),
    "an unknown type": ("GRAPHQL_VALIDATION_FAILED", f"mutation ($file: Download!) {{ {UPLOAD} }}"),
    "an unused variable": (
        "GRAPHQL_VALIDATION_FAILED",
        "mutation ($file: Upload!) { uploadFile { problems { code } } }",
    ),
    "a variable of another type": ("GRAPHQL_VALIDATION_FAILED", f"mutation ($file: String!) {{ {UPLOAD} }}"),
    "a nullable variable": ("GRAPHQL_VALIDATION_FAILED", f"mutation ($file: Upload) {{ {UPLOAD} }}"),
    "an upload written as a value": (
        "GRAPHQL_VALIDATION_FAILED",
        'mutation { uploadFile(input: {file: "0"}) { problems { code } } }',
    ),
    "a cycle of fragments": (
        "GRAPHQL_VALIDATION_FAILED",
        f"mutation ($file: Upload!) {{ {UPLOAD} ...a }} fragment a on Mutation {{ ...a }}",
    ),
    "too many tokens": ("QUERY_TOO_COMPLEX", "{ viewer { " + "id " * 3000 + "} }"),
    "too long a document": ("QUERY_TOO_COMPLEX", "{ viewer { id } } #" + "x" * 70_000),
    "too many aliases": ("QUERY_TOO_COMPLEX", "{ " + " ".join(f"a{index}: __typename" for index in range(40)) + " }"),
    "too many directives": ("QUERY_TOO_COMPLEX", "{ __typename " + "@include(if: true) " * 60 + "}"),
    "doubled fragments": (
        "QUERY_TOO_COMPLEX",
        "{ ...f0 } "
        + " ".join(f"fragment f{index} on Query {{ ...f{index + 1} ...f{index + 1} }}" for index in range(40))
        + " fragment f40 on Query { viewer { id } }",
    ),
    "deep nesting": ("GRAPHQL_PARSE_FAILED", "{ a " * 900),
}

BAD_MAPS: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b'["variables.file"]',
    "text": b'"0"',
    "half an object": b'{"0": ["variables.file"]',
    "a null path list": b'{"0": null}',
    "no paths": b'{"0": []}',
    "a path without a list": b'{"0": "variables.file"}',
    "an object for a list": b'{"0": {"0": "variables.file"}}',
    "a number for a path": b'{"0": [0]}',
    "null for a path": b'{"0": [null]}',
    "a list for a path": b'{"0": [["variables.file"]]}',
    "a part twice": b'{"0": ["variables.file"], "0": ["variables.file"]}',
    "bytes that are no text": b'{"\xff": ["variables.file"]}',
    "half a surrogate": b'{"\\udfff": ["variables.file"]}',
    "depth": b'{"0": ' + b"[" * 9_000,
}

ONE_INPUT = "mutation ($one: UploadFileInput!) { uploadFile(input: $one) { problems { code } } }"

BAD_PATHS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "an empty path": (UPLOAD_ONE, {"file": None}, [""]),
    "a path without variables": (UPLOAD_ONE, {"file": None}, ["file"]),
    "only variables": (UPLOAD_ONE, {"file": None}, ["variables"]),
    "a path of a batch": (UPLOAD_ONE, {"file": None}, ["0.variables.file"]),
    "an unknown variable": (UPLOAD_ONE, {"file": None}, ["variables.other"]),
    "an absent variable": (UPLOAD_ONE, {}, ["variables.file"]),
    "a value that is not null": (UPLOAD_ONE, {"file": "text"}, ["variables.file"]),
    "an object at the upload": (UPLOAD_ONE, {"file": {"0": None}}, ["variables.file.0"]),
    "a path twice": (UPLOAD_ONE, {"file": None}, ["variables.file", "variables.file"]),
    "a path beyond the upload": (UPLOAD_ONE, {"file": None}, ["variables.file.name"]),
    "a path to a name": (ONE_INPUT, {"one": {"file": None, "name": None}}, ["variables.one.name"]),
    "a path to the input": (ONE_INPUT, {"one": None}, ["variables.one"]),
    "a path to an unknown field": (ONE_INPUT, {"one": {"other": None}}, ["variables.one.other"]),
    "a path into Python": (ONE_INPUT, {"one": {"file": None}}, ["variables.one.__class__"]),
    "an index out of range": (UPLOAD_MANY, {"input": {"files": [{"file": None}]}}, ["variables.input.files.1.file"]),
    "a negative index": (UPLOAD_MANY, {"input": {"files": [{"file": None}]}}, ["variables.input.files.-1.file"]),
    "an index with a zero": (UPLOAD_MANY, {"input": {"files": [{"file": None}]}}, ["variables.input.files.00.file"]),
    "a huge index": (UPLOAD_MANY, {"input": {"files": [{"file": None}]}}, ["variables.input.files." + "9" * 5000]),
    "a list instead of an object": (UPLOAD_MANY, {"input": [[{"file": None}]]}, ["variables.input.0.0.file"]),
    "an object instead of a list": (
        UPLOAD_MANY,
        {"input": {"files": {"0": {"file": None}}}},
        ["variables.input.files.0.file"],
    ),
}

TWICE = "mutation ($file: Upload!) { a: uploadFile(input: {file: $file}) { problems { code } } b: " + UPLOAD + " }"
THROUGH_FRAGMENTS = "mutation ($file: Upload!) { ...a ...a } fragment a on Mutation { " + UPLOAD + " }"
SKIPPED = "mutation ($file: Upload!) { uploadFile(input: {file: $file}) @skip(if: true) { problems { code } } }"
IN_A_LIST = (
    "mutation ($file: Upload!) { uploadFiles(input: {files: [{file: $file}, {file: $file}]}) { problems { code } } }"
)

DOCUMENTS = [
    *(
        Case(f"{name} for operations", 400, "BAD_REQUEST", complete(part("operations", raw)))
        for name, raw in NO_OPERATIONS.items()
    ),
    *(
        Case(name, 413, "REQUEST_TOO_LARGE", complete(part("operations", raw)))
        for name, raw in {
            "very deep lists": b"[" * 90_000,
            "very many ids": orjson.dumps({"query": "{ __typename }", "variables": {"ids": [""] * 21_000}}),
            "very many objects": b'{"query": "{ __typename }", "variables": {"a": [' + b"{}," * 21_000 + b"{}]}}",
        }.items()
    ),
    Case(
        "operations in Latin-1",
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        part("operations", b"", head=b"Content-Type: application/json; charset=latin-1\r\n"),
    ),
    Case(
        "a persisted query",
        400,
        "PERSISTED_QUERY_NOT_SUPPORTED",
        complete(json_part("operations", {"extensions": {"persistedQuery": {}}})),
    ),
    *(
        Case(name, 400, code, complete(operations(query, {"file": None})))
        for name, (code, query) in BAD_DOCUMENTS.items()
    ),
    Case("an unknown name", 400, "OPERATION_NOT_FOUND", complete(operations(UPLOAD_ONE, {"file": None}, "other"))),
    *(
        Case(f"{name} for a map", 400, "MULTIPART_INVALID", complete(OPERATIONS, part("map", raw)))
        for name, raw in BAD_MAPS.items()
    ),
    *(
        Case(name, 400, "UPLOAD_MAP_INVALID", complete(operations(query, variables), json_part("map", {"0": paths})))
        for name, (query, variables, paths) in BAD_PATHS.items()
    ),
    *(
        Case(name, 400, "UPLOAD_MAP_INVALID", complete(operations(query, {"file": None}), MAP))
        for name, query in {
            "a variable in two fields": TWICE,
            "a variable in a fragment that is spread twice": THROUGH_FRAGMENTS,
            "a variable twice in a list": IN_A_LIST,
            "a field that is skipped": SKIPPED,
        }.items()
    ),
    Case("an upload without a file", 400, "BAD_USER_INPUT", complete(OPERATIONS, json_part("map", {}))),
    Case(
        "an upload as JSON",
        400,
        "BAD_USER_INPUT",
        complete(operations(UPLOAD_ONE, {"file": {"filename": "a.txt"}}), json_part("map", {})),
    ),
    Case("too many files", 413, "REQUEST_TOO_LARGE", complete(several(MAXIMUM_FILES + 1))),
    Case(
        "one part for too many files",
        413,
        "REQUEST_TOO_LARGE",
        complete(
            operations(UPLOAD_MANY, {"input": {"files": [{"file": None}] * (MAXIMUM_FILES + 1)}}),
            json_part("map", {"0": [f"variables.input.files.{index}.file" for index in range(MAXIMUM_FILES + 1)]}),
        ),
    ),
    Case("the map first", 400, "MULTIPART_INVALID", part("map", b"")),
    Case("a file first", 400, "MULTIPART_INVALID", part("0", b"", filename="a.txt")),
    Case("a file before the map", 400, "MULTIPART_INVALID", after(OPERATIONS, part("0", b"", filename="a.txt"))),
    Case("operations twice", 400, "MULTIPART_INVALID", after(OPERATIONS, part("operations", b""))),
]
