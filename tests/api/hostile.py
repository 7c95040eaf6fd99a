"""A hostile request, and what has to become of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.api.bodies import BOUNDARY, CONTENT_TYPE, UPLOAD_MANY, UPLOAD_ONE, json_part, operations, part

MAXIMUM_FILE_BYTES = 50_000
MAXIMUM_REQUEST_BYTES = 400_000
MAXIMUM_OPERATIONS_BYTES = 100_000
MAXIMUM_MAP_BYTES = 10_000
MAXIMUM_FILES = 5

OPERATIONS = operations(UPLOAD_ONE, {"file": None})
MAP = json_part("map", {"0": ["variables.file"]})
FILE = part("0", b"a few words\n", filename="a.txt", head=b"Content-Type: text/plain\r\n")
NEXT = b"\r\n--" + BOUNDARY + b"\r\n"
END = b"\r\n--" + BOUNDARY + b"--"
FILLER = part("filler", b"bytes that nobody should want " * 3000)


@dataclass(frozen=True, slots=True)
class Case:
    """A request that is refused once `decisive` has come, whatever `rest` is.

    `status` and `code` are those of the answer's first error, or of the upload's first problem when `status` is 200.
    `is_whole`: the body ends with `decisive`. `headers` are added to or replace what an upload says; None removes one.
    """

    name: str
    status: int
    code: str
    decisive: bytes
    rest: bytes = b"\r\n" + FILLER + END
    is_whole: bool = False
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def head(self, token: str) -> dict[str, str]:
        """The request's headers, names in lower case."""
        given: dict[str, str | None] = {
            "host": "files.example",
            "accept": "application/graphql-response+json",
            "authorization": f"Bearer {token}",
            "content-type": CONTENT_TYPE,
            **self.headers,
        }
        return {name: value for name, value in given.items() if value is not None}


def after(*parts: bytes) -> bytes:
    """These parts, one after the other."""
    return b"\r\n".join(parts)


def complete(*parts: bytes) -> bytes:
    """These parts, of which the last has ended and another begins."""
    return after(*parts) + NEXT


def several(count: int, *, path: str = "variables.input.files.{}.file") -> bytes:
    """Operations and map of an upload of several files."""
    files = [{"file": None} for _ in range(count)]
    mapping = {str(index): [path.format(index)] for index in range(count)}
    return after(operations(UPLOAD_MANY, {"input": {"files": files}}), json_part("map", mapping))
