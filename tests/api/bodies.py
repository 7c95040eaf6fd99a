"""Multipart bodies, written by hand so that they can be wrong in every way."""

from collections.abc import AsyncIterator, Iterable, Sequence

import orjson

BOUNDARY = b"----cairn-test-7MA4YWxkTrZu0gW"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"
END = b"\r\n--" + BOUNDARY + b"--\r\n"

UPLOAD_ONE = """
mutation ($file: Upload!) {
  uploadFile(input: {file: $file}) { file { id name size digest } problems { code message path } }
}
"""
UPLOAD_MANY = """
mutation ($input: UploadFilesInput!) {
  uploadFiles(input: $input) {
    results { file { id name size digest } problems { code message path } }
    problems { code }
  }
}
"""


def part(name: str | bytes, content: bytes, *, filename: str | None = None, head: bytes = b"") -> bytes:
    """One part with the boundary before it. `head` is more header lines, each with its line break."""
    raw = name.encode() if isinstance(name, str) else name
    disposition = b'Content-Disposition: form-data; name="' + raw + b'"'
    if filename is not None:
        disposition += b'; filename="' + filename.encode() + b'"'
    return b"--" + BOUNDARY + b"\r\n" + disposition + b"\r\n" + head + b"\r\n" + content


def joined(*parts: bytes) -> bytes:
    """A whole body of these parts."""
    return b"\r\n".join(parts) + END


def json_part(name: str, value: object) -> bytes:
    """A part with JSON."""
    return part(name, orjson.dumps(value))


def operations(query: str, variables: object = None, name: str | None = None) -> bytes:
    """The part `operations`."""
    value: dict[str, object] = {"query": query, "variables": variables}
    return json_part("operations", value if name is None else {**value, "operationName": name})


def upload(content: bytes, filename: str | None = "a.txt", *, head: bytes = b"Content-Type: text/plain\r\n") -> bytes:
    """A whole body that uploads one file."""
    return joined(
        operations(UPLOAD_ONE, {"file": None}),
        json_part("map", {"0": ["variables.file"]}),
        part("0", content, filename=filename, head=head),
    )


def uploads(contents: Sequence[bytes], names: Sequence[str]) -> bytes:
    """A whole body that uploads several files."""
    return joined(
        operations(UPLOAD_MANY, {"input": {"files": [{"file": None} for _ in contents]}}),
        json_part("map", {str(index): [f"variables.input.files.{index}.file"] for index in range(len(contents))}),
        *(
            part(str(index), content, filename=name)
            for index, (content, name) in enumerate(zip(contents, names, strict=True))
        ),
    )


def split(body: bytes, size: int) -> list[bytes]:
    """The body in pieces."""
    return [body[start : start + size] for start in range(0, len(body), size)]


async def stream(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The pieces, as they arrive."""
    for piece in pieces:
        yield piece
