"""What bytes are, whatever they are called: media types from the first bytes. The doorway of libmagic.

libmagic knows binary formats. What is text is decided here, since its tests for text are wrong about it too often and
quadratic in its length: 64 KiB of line ends kept it busy for 0.4 seconds.
"""

import codecs
import ctypes
import re
import struct
import threading
from collections.abc import Iterator
from itertools import islice

from domain.media_types import (
    DOCX,
    EMPTY,
    HTML,
    OLE,
    PLAIN_TEXT,
    PPTX,
    SCRIPT,
    SVG,
    SYNONYMS,
    UNKNOWN,
    XLSX,
    XML,
    ZIP,
)

HEAD_BYTES = 65536
OLDEST_LIBRARY = 541  # the release that the bundled library has, times 100


def is_recent(library: str) -> bool:
    """Whether the system has a libmagic of this name that is not older than the bundled one."""
    try:
        version: int = ctypes.CDLL(library).magic_version()
    except (OSError, AttributeError):
        return False
    return version >= OLDEST_LIBRARY


# The bundled library answers python-magic's search for one, so it has to be imported first.
if not is_recent("libmagic.so.1"):  # pragma: no cover - the tests prove this branch in a process of its own
    import pylibmagic  # noqa: F401
import magic  # noqa: E402

# From magic.h. Left out: text (see above), what names of tokens and encodings suggest, and sections of ELF files.
_NO_ELF, _NO_TEXT, _NO_CSV, _NO_TOKENS, _NO_ENCODING, _NO_JSON = 0x10000, 0x20000, 0x80000, 0x100000, 0x200000, 0x400000
_FLAGS = magic.MAGIC_MIME_TYPE | _NO_ELF | _NO_TEXT | _NO_CSV | _NO_TOKENS | _NO_ENCODING | _NO_JSON
_ENOUGH_BYTES = 4096  # no signature in our tables lies further in, except in OLE files

_OLE_START = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_INSTALLER_CLASS = bytes.fromhex("84100c0000000000c000000000000046")  # of Windows Installer packages
_ZIP_ENTRY = b"PK\x03\x04"
_ZIP_ENTRIES = 1000
_OFFICE_FOLDERS = ((b"word/", DOCX), (b"xl/", XLSX), (b"ppt/", PPTX))

# Signatures that the older releases of libmagic have without a media type, or not at all.
_SIGNATURES = (
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F", "application/x-ms-shortcut"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (4, b"ftyp", "video/mp4"),
    (4, b"wide", "video/quicktime"),
    (4, b"free", "video/quicktime"),
    (4, b"skip", "video/quicktime"),
    (4, b"pnot", "video/quicktime"),
)
_PDF_WITHIN = 1024  # where Acrobat looks for the header (PDF Reference 1.7, appendix H, note 13)

# What browsers look at when they guess a type, and the bytes that make it binary (WHATWG MIME Sniffing, 5.2 and 7.1).
_SNIFFED_BYTES = 1445
_BINARY_BYTES = bytes(byte for byte in range(0x20) if byte not in b"\t\n\f\r\x1b")
_TEXT_BYTES = bytes(byte for byte in range(0x100) if byte not in _BINARY_BYTES)
_BINARY_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_TAG = rb"<(?:!doctype\s+html|html|head|body|script|iframe|object|embed|img|style|title)[\s/>]"
_HTML_ANYWHERE = re.compile(_TAG, re.IGNORECASE)
_HTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*" + _TAG, re.IGNORECASE)
_SVG_ANYWHERE = re.compile(rb"<svg[\s>]")
_XML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml\s")
_SHEBANG = re.compile(rb"(?:\xef\xbb\xbf)?#!\s*/")


class _Library(threading.local):
    """One handle of libmagic for each thread, since none may serve two at a time."""

    def __init__(self) -> None:
        self.handle = open_library()


def open_library() -> magic.Magic:
    """A handle that looks for binary formats only."""
    handle = magic.Magic(mime=True)
    magic.magic_setflags(handle.cookie, _FLAGS)
    return handle


_library = _Library()


def detect(head: bytes) -> str:
    """The media type that the first bytes of a file show; 64 KiB suffice, and no more are looked at.

    Blocking, for about 20 to 500 microseconds. Never raises: what nothing recognises is `application/octet-stream`.
    """
    head = head[:HEAD_BYTES]
    if not head:
        return EMPTY
    if _HTML_START.match(head):
        return HTML
    found = _refined(ask_library(_library.handle, head), head)
    # A browser that is let guess may take a picture for the page that was hidden in its comment.
    hides_page = found.startswith("image/") and found != SVG and _HTML_ANYWHERE.search(head, 0, _SNIFFED_BYTES)
    return HTML if hides_page else found


def ask_library(handle: magic.Magic, head: bytes) -> str:
    """What libmagic says, under one name whatever its release; it gives up on some crafted bytes."""
    try:
        found = handle.from_buffer(head if head.startswith(_OLE_START) else head[:_ENOUGH_BYTES])
    except magic.MagicException:
        return UNKNOWN
    return SYNONYMS.get(found, found)


def is_text(head: bytes) -> bool:
    """Whether these bytes are text in UTF-8, an encoding of 8 bits, or UTF-16 or UTF-32 with a byte order mark.

    Text has no control characters but those of lines, pages and terminals. Nothing is also text.
    """
    head = head[:HEAD_BYTES]
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            try:
                text = codecs.getincrementaldecoder(encoding)().decode(head)  # the last character may be cut
            except UnicodeDecodeError:
                return False
            return not _BINARY_CHARACTERS.search(text)
    return not head.translate(None, _TEXT_BYTES)


def is_script(head: bytes) -> bool:
    """Whether a first line names an interpreter, so that a Unix system would run the file."""
    return _SHEBANG.match(head) is not None


def _refined(found: str, head: bytes) -> str:
    if head.startswith(_ZIP_ENTRY):
        return _zipped(found, head)
    if found == OLE:
        return "application/x-msi" if _INSTALLER_CLASS in head else OLE
    if found == UNKNOWN:
        return _by_signature(head) or _as_text(head)
    return found


def _by_signature(head: bytes) -> str | None:
    for offset, signature, media_type in _SIGNATURES:
        if head.startswith(signature, offset) and not is_text(head):
            return media_type
    return "application/pdf" if b"%PDF-" in head[:_PDF_WITHIN] else None


def _as_text(head: bytes) -> str:
    if not is_text(head):
        return UNKNOWN
    if is_script(head):
        return SCRIPT
    if _SVG_ANYWHERE.search(head, 0, _ENOUGH_BYTES):
        return SVG
    return XML if _XML_START.match(head) else PLAIN_TEXT


def _zipped(found: str, head: bytes) -> str:
    # libmagic takes the first entries for the whole; an Office document is one by the folder that Office writes.
    for name in islice(_entries(head), _ZIP_ENTRIES):
        for folder, media_type in _OFFICE_FOLDERS:
            if name.startswith(folder):
                return media_type
    return ZIP if found in {DOCX, XLSX, PPTX, UNKNOWN} else found


def _entries(head: bytes) -> Iterator[bytes]:
    """Names of the entries whose local headers lie in the head. Source: APPNOTE.TXT 6.3.10, section 4.3.7."""
    at = 0
    while 0 <= at <= len(head) - 30:
        packed, _, name, extra = struct.unpack_from("<18xIIHH", head, at)
        start = at + 30
        yield head[start : start + name]
        # Where the size comes only after the data, the next header is searched for from the data's start.
        at = head.find(_ZIP_ENTRY, start + name + extra + packed)
