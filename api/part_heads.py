"""What the heads say: the boundary in a request's Content-Type, and the head of each part.

Pure functions over bytes. They know what real clients write: browsers (WHATWG's form-data encoding: UTF-8 bytes with
`%22`, `%0D` and `%0A`), curl and Python (backslash escapes), aiohttp (percent-encoding, RFC 7578 section 2) and
`filename*` (RFC 8187). What is ambiguous or means something else to others is refused rather than guessed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_to_bytes

from api.envelope import EnvelopeBreach, MediaTypeUnsupported

BOUNDARY_CHARACTERS_MAXIMUM = 70
MEDIA_TYPE_CHARACTERS_MAXIMUM = 255  # RFC 6838 section 4.2: 127 on either side of the slash
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
TRANSFER_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary"})

# RFC 2046 section 5.1.1: bchars, of which the last is not a space.
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]*[0-9A-Za-z'()+_,\-./:=?]")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MAIN = re.compile(rb"[ \t]*(" + _TOKEN + rb"(?:/" + _TOKEN + rb")?)[ \t]*")
_PARAMETER = re.compile(
    rb";[ \t]*(" + _TOKEN + rb")[ \t]*=[ \t]*" + rb'(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^;"\s]+))[ \t]*',
    re.DOTALL,
)
_REST = re.compile(rb"(?:;[ \t]*)?")
# Old browsers send `C:\folder\name.txt` unescaped: a backslash escapes only a quote or another backslash.
_ESCAPED = re.compile(rb'\\(["\\])')
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_EXTENDED = re.compile(rb"([A-Za-z0-9-]+)'[A-Za-z0-9-]*'((?:[!#$&+.^_`|~0-9A-Za-z-]|%[0-9A-Fa-f]{2})*)")
_BROWSER_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n", "%0d": "\r", "%0a": "\n"}
_BROWSER_ESCAPE = re.compile("%(?:22|0[DdAa])")


@dataclass(frozen=True, slots=True)
class PartHead:
    """The head of one part. `number` counts from 1; None where the head says nothing; sizes in bytes."""

    number: int
    name: str
    filename: str | None = None
    media_type: str | None = None
    charset: str | None = None
    content_length: int | None = None

    def __str__(self) -> str:
        return f"Part {self.number} (“{shortened(self.name)}”)"


def shortened(text: str, characters: int = 80) -> str:
    """Text of a client as it may be repeated in a message: printable, and not longer than this."""
    printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return printable if len(printable) <= characters else printable[: characters - 1] + "…"


def boundary_of(content_type: str | None) -> bytes:
    """The boundary that a request's Content-Type names (RFC 2046 section 5.1.1, RFC 7578 section 4.1).

    Raises MediaTypeUnsupported for another type or charset, EnvelopeBreach for a boundary that is missing or illegal.
    """
    try:
        main, parameters = _parameters((content_type or "").encode("utf-8", "replace"))
    except ValueError:
        raise EnvelopeBreach("The request's Content-Type is malformed.") from None
    if main != b"multipart/form-data":
        raise MediaTypeUnsupported("The request is not multipart/form-data.")
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1").lower()
    if charset not in CHARSETS:
        raise MediaTypeUnsupported(f"The request's charset is {shortened(charset)}; send UTF-8.")
    boundary = parameters.get(b"boundary")
    if boundary is None:
        raise EnvelopeBreach("The request's Content-Type names no boundary.")
    if not 1 <= len(boundary) <= BOUNDARY_CHARACTERS_MAXIMUM:
        raise EnvelopeBreach(
            f"The boundary has {len(boundary)} characters; 1 to {BOUNDARY_CHARACTERS_MAXIMUM} are allowed."
        )
    if not _BOUNDARY.fullmatch(boundary):
        raise EnvelopeBreach("The boundary has characters that RFC 2046 does not allow.")
    return boundary


def read_head(number: int, fields: Sequence[tuple[bytes, bytes]]) -> PartHead:
    """One part's head from its header fields. Raises EnvelopeBreach or MediaTypeUnsupported, naming the part."""
    named: dict[bytes, bytes] = {}
    for key, value in fields:
        if _CONTROL.search(value):
            raise EnvelopeBreach(f"A header of part {number} contains control characters.")
        if key.lower() in named:
            raise EnvelopeBreach(f"Part {number} has two {shortened(key.decode('latin-1'))} headers.")
        named[key.lower()] = value.strip(b" \t")
    name, filename = _disposition(number, named.get(b"content-disposition"))
    _check_encoding(number, named.get(b"content-transfer-encoding", b"binary"))
    media_type, charset = _content_type(number, named.get(b"content-type"))
    return PartHead(number, name, filename, media_type, charset, _length(number, named.get(b"content-length")))


def _disposition(number: int, value: bytes | None) -> tuple[str, str | None]:
    if value is None:
        raise EnvelopeBreach(f"Part {number} has no Content-Disposition.")
    try:
        main, parameters = _parameters(value)
    except ValueError:
        raise EnvelopeBreach(f"The Content-Disposition of part {number} is malformed.") from None
    if main != b"form-data":
        raise EnvelopeBreach(f"The Content-Disposition of part {number} is not form-data.")
    if b"name" not in parameters:
        raise EnvelopeBreach(f"Part {number} has no name.")
    return _browser_decoded(_text(parameters[b"name"])), _filename(number, parameters)


def _filename(number: int, parameters: Mapping[bytes, bytes]) -> str | None:
    plain, extended = parameters.get(b"filename"), parameters.get(b"filename*")
    if extended is not None:
        decoded = _extended(extended)
        if decoded is not None:
            return decoded
        if plain is None:
            raise EnvelopeBreach(f"The filename* of part {number} is malformed.")
    return None if plain is None else _percent_decoded(_text(plain))


def _check_encoding(number: int, encoding: bytes) -> None:
    if encoding.lower() not in TRANSFER_ENCODINGS:
        name = shortened(encoding.decode("latin-1"))
        raise MediaTypeUnsupported(f"Part {number} has the Content-Transfer-Encoding {name}; send plain bytes.")


def _content_type(number: int, value: bytes | None) -> tuple[str | None, str | None]:
    if not value:
        return None, None
    try:
        main, parameters = _parameters(value)
    except ValueError:
        raise EnvelopeBreach(f"The Content-Type of part {number} is malformed.") from None
    if len(main) > MEDIA_TYPE_CHARACTERS_MAXIMUM:
        raise EnvelopeBreach(f"The Content-Type of part {number} is longer than a media type can be.")
    charset = parameters.get(b"charset")
    return main.decode("ascii"), None if charset is None else charset.decode("latin-1").lower()


def _length(number: int, value: bytes | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(rb"[0-9]{1,18}", value):
        raise EnvelopeBreach(f"The Content-Length of part {number} is malformed.")
    return int(value)


# Clients write the same heads again and again, but for the names of files.
@lru_cache(maxsize=64)
def _parameters(value: bytes) -> tuple[bytes, Mapping[bytes, bytes]]:
    main = _MAIN.match(value)
    if main is None:
        raise ValueError(value)
    parameters: dict[bytes, bytes] = {}
    position = main.end()
    while found := _PARAMETER.match(value, position):
        key, quoted, token = found.groups()
        if key.lower() in parameters:
            raise ValueError(value)
        parameters[key.lower()] = token if quoted is None else _ESCAPED.sub(rb"\1", quoted)
        position = found.end()
    if not _REST.fullmatch(value, position):
        raise ValueError(value)
    return main[1].lower(), parameters


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _browser_decoded(text: str) -> str:
    return _BROWSER_ESCAPE.sub(lambda found: _BROWSER_ESCAPES[found[0]], text)


def _percent_decoded(text: str) -> str:
    # aiohttp percent-encodes whole names; browsers encode three characters and leave every other `%` alone. A name that
    # is what aiohttp would have made of some other name is decoded whole.
    whole = unquote(text, errors="replace")
    return whole if quote(whole, safe="") == text else _browser_decoded(text)


def _extended(value: bytes) -> str | None:
    found = _EXTENDED.fullmatch(value)
    if found is None or found[1].lower() not in (b"utf-8", b"iso-8859-1"):
        return None
    try:
        return unquote_to_bytes(found[2]).decode(found[1].decode("ascii"))
    except UnicodeDecodeError:
        return None
