"""What the heads of tus requests say, strictly: see the protocol at https://tus.io/protocols/resumable-upload."""

import hashlib
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.datastructures import Headers

from api.envelope import EnvelopeBreach

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation"
CONTENT_TYPE: Final = "application/offset+octet-stream"
MAXIMUM_METADATA_CHARACTERS: Final = 8192
MAXIMUM_CONCATENATED: Final = 1000
LARGEST: Final = 2**63 - 1

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,255}", re.ASCII)
_METHODS = frozenset({"HEAD", "PATCH", "POST", "DELETE", "OPTIONS"})


class Sum(Protocol):
    """A running checksum."""

    def update(self, data: bytes, /) -> None:
        """Count the next bytes."""
        ...

    def digest(self) -> bytes:
        """The sum so far."""
        ...


ALGORITHMS: Mapping[str, Callable[[], Sum]] = {
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
}


class TusRefused(EnvelopeBreach):
    """A head that breaks the protocol, or asks for what is not spoken here."""

    code = "TUS_INVALID"


class VersionUnsupported(TusRefused):
    """Another version of the protocol, or none."""

    status = 412
    code = "TUS_VERSION_UNSUPPORTED"


class TypeUnsupported(TusRefused):
    """Bytes that do not say that they are a piece of an upload."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class MethodUnsupported(TusRefused):
    """tus has no such request here."""

    status = 405
    code = "METHOD_NOT_ALLOWED"


class ChecksumWrong(TusRefused):
    """The bytes that came are not those that were summed up. The status is tus's own."""

    status = 460
    code = "CHECKSUM_MISMATCH"


@dataclass(frozen=True, slots=True)
class Checksum:
    """The sum that the bytes of one request must have."""

    algorithm: str
    expected: bytes

    def begin(self) -> Sum:
        """A sum of nothing yet."""
        return ALGORITHMS[self.algorithm]()


@dataclass(frozen=True, slots=True)
class Creation:
    """What a POST says. `final_of` are the paths of the uploads that it joins; None for every other upload."""

    size: int | None
    metadata: Mapping[str, str]
    metadata_header: str | None
    is_partial: bool
    final_of: tuple[str, ...] | None


def method_of(method: str, headers: Headers) -> str:
    """The request's method, or what stands in for it: some clients can send nothing but GET and POST."""
    wanted = headers.get("x-http-method-override", method).upper()
    if wanted not in _METHODS:
        raise MethodUnsupported(f"{method} is no request of tus.")
    return wanted


def require_version(headers: Headers) -> None:
    """Raise VersionUnsupported unless the request speaks this version."""
    given = headers.get("tus-resumable")
    if given != VERSION:
        raise VersionUnsupported(f"Say Tus-Resumable: {VERSION}; this is the version spoken here.")


def require_piece(headers: Headers) -> None:
    """Raise TypeUnsupported unless the body is a piece of an upload."""
    if headers.get("content-type", "").strip().lower() != CONTENT_TYPE:
        raise TypeUnsupported(f"Bytes of an upload have the Content-Type {CONTENT_TYPE}.")


def has_piece(headers: Headers) -> bool:
    """Whether a POST brings the first bytes along. Raises TypeUnsupported for a body of another kind."""
    if "content-type" not in headers and headers.get("content-length", "0") == "0":
        return False
    if headers.get("content-type", "").strip().lower() == CONTENT_TYPE:
        return True
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return False
    raise TypeUnsupported(f"Bytes of an upload have the Content-Type {CONTENT_TYPE}.")


def number_of(headers: Headers, name: str) -> int | None:
    """A header that is a number of bytes; None where it is absent."""
    values = headers.getlist(name)
    if not values:
        return None
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]) or int(values[0]) > LARGEST:
        raise TusRefused(f"{name} is one whole number of bytes, from 0 to {LARGEST}.")
    return int(values[0])


def offset_of(headers: Headers) -> int:
    """Where the bytes begin."""
    offset = number_of(headers, "upload-offset")
    if offset is None:
        raise TusRefused("Upload-Offset is missing: say where the bytes begin.")
    return offset


def checksum_of(headers: Headers) -> Checksum | None:
    """The sum of the request's bytes, if it tells one."""
    value = headers.get("upload-checksum")
    if value is None:
        return None
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in ALGORITHMS:
        raise TusRefused(f"Checksums are {' or '.join(ALGORITHMS)}.")
    expected = _decoded(encoded, "Upload-Checksum")
    if len(expected) != len(ALGORITHMS[algorithm]().digest()):
        raise TusRefused(f"Upload-Checksum has not the length of a {algorithm}.")
    return Checksum(algorithm, expected)


def creation_of(headers: Headers) -> Creation:
    """What a POST says of its upload."""
    header = headers.get("upload-metadata")
    concat = headers.get("upload-concat")
    size = number_of(headers, "upload-length")
    final_of = _joined(concat)
    if final_of is not None and size is not None:
        raise TusRefused("A final upload is as long as its parts: it has no Upload-Length.")
    if final_of is None and size is None:
        _require_deferred(headers)
    elif "upload-defer-length" in headers:
        raise TusRefused("Either Upload-Length or Upload-Defer-Length, not both.")
    return Creation(size, metadata_of(header), header, concat == "partial", final_of)


def metadata_of(header: str | None) -> dict[str, str]:
    """The pairs of Upload-Metadata: unique keys, values in UTF-8."""
    if header is None or not header.strip():
        return {}
    if len(header) > MAXIMUM_METADATA_CHARACTERS:
        raise TusRefused(f"Upload-Metadata has at most {MAXIMUM_METADATA_CHARACTERS} characters.")
    found: dict[str, str] = {}
    for pair in header.split(","):
        key, _, encoded = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise TusRefused("Upload-Metadata is a list of unique keys, each with a value in base64.")
        try:
            found[key] = _decoded(encoded, "Upload-Metadata").decode()
        except UnicodeDecodeError:
            raise TusRefused(f"The value of {key} in Upload-Metadata is not in UTF-8.") from None
    return found


def _require_deferred(headers: Headers) -> None:
    if headers.get("upload-defer-length") != "1":
        raise TusRefused("Say Upload-Length, or Upload-Defer-Length: 1 to say it later.")


def _joined(concat: str | None) -> tuple[str, ...] | None:
    if concat is None or concat == "partial":
        return None
    kind, _, urls = concat.partition(";")
    paths = tuple(urls.split())
    if kind != "final" or not 1 <= len(paths) <= MAXIMUM_CONCATENATED:
        raise TusRefused(f"Upload-Concat is `partial`, or `final;` and the URLs of 1 to {MAXIMUM_CONCATENATED} parts.")
    return paths


def _decoded(encoded: str, name: str) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except (NotBase64, ValueError):
        raise TusRefused(f"A value in {name} is not base64.") from None
