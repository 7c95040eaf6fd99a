"""Hostile requests whose heads, boundaries and parts are wrong."""

from tests.api.bodies import BOUNDARY, CONTENT_TYPE, part, upload
from tests.api.bodies import END as WHOLE_END
from tests.api.hostile import (
    END,
    FILE,
    MAP,
    MAXIMUM_MAP_BYTES,
    MAXIMUM_OPERATIONS_BYTES,
    MAXIMUM_REQUEST_BYTES,
    NEXT,
    OPERATIONS,
    Case,
    after,
    complete,
)

BAD_PARTS: dict[str, tuple[int, str, bytes]] = {
    "no head": (400, "MULTIPART_INVALID", b"\r\n"),
    "no disposition": (400, "MULTIPART_INVALID", b"Content-Type: text/plain\r\n\r\n"),
    "an attachment": (400, "MULTIPART_INVALID", b"Content-Disposition: attachment; name=0\r\n\r\n"),
    "no name": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data; filename=a.txt\r\n\r\n"),
    "two names": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data; name=0; name=operations\r\n\r\n"),
    "two filenames": (
        400,
        "MULTIPART_INVALID",
        b"Content-Disposition: form-data; name=0; filename=a; filename=b\r\n\r\n",
    ),
    "an open quote": (400, "MULTIPART_INVALID", b'Content-Disposition: form-data; name="0\r\n\r\n'),
    "two dispositions": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data; name=0\r\n" * 2 + b"\r\n"),
    "a NUL in a header": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data; name=0\r\nA: \x00\r\n\r\n"),
    "a hidden header": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data; name=0\r\nA: 1\nB: 2\r\n\r\n"),
    "a bad header name": (400, "MULTIPART_INVALID", b"Content Disposition: form-data; name=0\r\n"),
    "no colon": (400, "MULTIPART_INVALID", b"Content-Disposition\r\n"),
    "a folded header": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data;\r\n name=0\r\n"),
    "an empty header name": (400, "MULTIPART_INVALID", b": form-data\r\n"),
    "a lone carriage return": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data\r; name=0\r\n"),
    "line feeds only": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data; name=0\nA: b\n\n\r\n\r\n"),
    "a large head": (413, "REQUEST_TOO_LARGE", b"A: " + b"b" * 17_000),
    "a long header name": (413, "REQUEST_TOO_LARGE", b"A" * 17_000),
    "many headers": (413, "REQUEST_TOO_LARGE", b"".join(b"A%d: b\r\n" % index for index in range(17))),
    "base64": (
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        b"Content-Disposition: form-data; name=0\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    ),
    "a negative length": (
        400,
        "MULTIPART_INVALID",
        b"Content-Disposition: form-data; name=0\r\nContent-Length: -5\r\n\r\n",
    ),
    "a bad type": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data; name=0\r\nContent-Type: ;;\r\n\r\n"),
    "a bad filename*": (400, "MULTIPART_INVALID", b"Content-Disposition: form-data; name=0; filename*=x\r\n\r\n"),
}

BEFORE = {"first": b"--" + BOUNDARY + b"\r\n", "second": complete(OPERATIONS), "third": complete(OPERATIONS, MAP)}

PARTS = [
    Case(f"{name} in the {position} part", status, code, before + head)
    for position, before in BEFORE.items()
    for name, (status, code, head) in BAD_PARTS.items()
]

BODIES = [
    Case("an empty body", 400, "MULTIPART_INVALID", b"", is_whole=True),
    Case("line breaks", 400, "MULTIPART_INVALID", b"\r\n\r\n\r\n", is_whole=True),
    Case("line breaks without end", 413, "REQUEST_TOO_LARGE", b"\r\n" * 9_000),
    Case("JSON", 400, "MULTIPART_INVALID", b'{"query": "{ viewer { id } }"}'),
    Case("a preamble", 400, "MULTIPART_INVALID", b"This is a message.\r\n"),
    Case("line feeds for line breaks", 400, "MULTIPART_INVALID", b"--" + BOUNDARY + b"\n"),
    Case("another boundary", 400, "MULTIPART_INVALID", b"--other\r\n"),
    Case("a longer boundary", 400, "MULTIPART_INVALID", b"--" + BOUNDARY + b"0\r\n"),
    Case("zeros", 400, "MULTIPART_INVALID", bytes(10)),
    Case("no parts", 400, "MULTIPART_INVALID", END.removeprefix(b"\r\n")),
    Case("an end after operations", 400, "MULTIPART_INVALID", OPERATIONS + END),
    Case("an end after the map", 400, "MULTIPART_INVALID", after(OPERATIONS, MAP) + END),
    Case("padding without end", 413, "REQUEST_TOO_LARGE", OPERATIONS + NEXT[:-2] + b" " * 17_000),
    Case("bad padding", 400, "MULTIPART_INVALID", OPERATIONS + NEXT[:-2] + b" x"),
    *(
        Case(f"cut short {name}", 400, "MULTIPART_INVALID", body, is_whole=True)
        for name, body in {
            "in the boundary": b"--" + BOUNDARY[:5],
            "in the first head": OPERATIONS[:60],
            "in operations": OPERATIONS[:-20],
            "after operations": OPERATIONS,
            "after a boundary": complete(OPERATIONS),
            "in the map": after(OPERATIONS, MAP)[:-5],
            "after the map": complete(OPERATIONS, MAP),
            "in a file's head": after(OPERATIONS, MAP, FILE)[:-40],
            "in a file": after(OPERATIONS, MAP, FILE),
            "in a file's boundary": after(OPERATIONS, MAP, FILE) + END[:-10],
            "before the last hyphen": upload(b"hello").removesuffix(WHOLE_END) + END[:-1],
            "after a file": complete(OPERATIONS, MAP, FILE),
        }.items()
    ),
]

MULTIPART = "multipart/form-data"
CONTENT_TYPES: dict[str, tuple[int, str, str | None]] = {
    "no content type": (415, "UNSUPPORTED_MEDIA_TYPE", None),
    "an empty content type": (415, "UNSUPPORTED_MEDIA_TYPE", ""),
    "no boundary": (400, "MULTIPART_INVALID", MULTIPART),
    "an empty boundary": (400, "MULTIPART_INVALID", f'{MULTIPART}; boundary=""'),
    "an endless boundary": (400, "MULTIPART_INVALID", f"{MULTIPART}; boundary={'x' * 71}"),
    "an illegal boundary": (400, "MULTIPART_INVALID", f'{MULTIPART}; boundary="a@b"'),
    "a boundary that ends with a space": (400, "MULTIPART_INVALID", f'{MULTIPART}; boundary="a "'),
    "two boundaries": (400, "MULTIPART_INVALID", f"{CONTENT_TYPE}; boundary=b"),
    "an open boundary": (400, "MULTIPART_INVALID", f'{MULTIPART}; boundary="a'),
    "UTF-16": (415, "UNSUPPORTED_MEDIA_TYPE", f"{CONTENT_TYPE}; charset=utf-16"),
    "multipart/mixed": (415, "UNSUPPORTED_MEDIA_TYPE", "multipart/mixed; boundary=a"),
    "a form": (415, "UNSUPPORTED_MEDIA_TYPE", "application/x-www-form-urlencoded"),
    "plain text": (415, "UNSUPPORTED_MEDIA_TYPE", "text/plain"),
    "bytes": (415, "UNSUPPORTED_MEDIA_TYPE", "application/octet-stream"),
}

BAD_HEADERS: dict[str, tuple[int, str, dict[str, str | None]]] = {
    "no credential": (403, "PREFLIGHT_REQUIRED", {"authorization": None}),
    "nonsense for a token": (401, "UNAUTHENTICATED", {"authorization": "Bearer nonsense"}),
    "an unsigned token": (401, "UNAUTHENTICATED", {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."}),
    "no token": (401, "UNAUTHENTICATED", {"authorization": "Bearer "}),
    "a password": (401, "UNAUTHENTICATED", {"authorization": "Basic YTpi"}),
    "an API key": (401, "UNAUTHENTICATED", {"authorization": None, "x-api-key": "nonsense"}),
    "a compressed body": (415, "UNSUPPORTED_MEDIA_TYPE", {"content-encoding": "gzip"}),
    "nothing acceptable": (406, "NOT_ACCEPTABLE", {"accept": "image/png"}),
    "a request over its limit": (413, "REQUEST_TOO_LARGE", {"content-length": str(MAXIMUM_REQUEST_BYTES + 1)}),
    "a request far over its limit": (413, "REQUEST_TOO_LARGE", {"content-length": str(10**17)}),
}

HEADS = [
    *(
        Case(name, status, code, b"", headers={"content-type": content_type})
        for name, (status, code, content_type) in CONTENT_TYPES.items()
    ),
    *(Case(name, status, code, b"", headers=headers) for name, (status, code, headers) in BAD_HEADERS.items()),
]

SIZES = [
    Case(
        "operations over their limit",
        413,
        "REQUEST_TOO_LARGE",
        part("operations", b" " * (MAXIMUM_OPERATIONS_BYTES + 1)),
        rest=b" " * 100_000,
    ),
    Case(
        "a map over its limit",
        413,
        "REQUEST_TOO_LARGE",
        after(OPERATIONS, part("map", b" " * (MAXIMUM_MAP_BYTES + 1))),
        rest=b" " * 100_000,
    ),
    Case(
        "a map that declares another length",
        400,
        "MULTIPART_INVALID",
        complete(OPERATIONS, part("map", b"{}", head=b"Content-Length: 3\r\n")),
    ),
    Case(
        "a file that declares another length",
        400,
        "MULTIPART_INVALID",
        complete(OPERATIONS, MAP, part("0", b"hello", filename="a.txt", head=b"Content-Length: 4\r\n")),
    ),
]

ENVELOPES = [*PARTS, *BODIES, *HEADS, *SIZES]
