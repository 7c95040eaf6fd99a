"""Whether a file's bytes are what its name says, and how its media type leaves the service.

The tables are in `domain.media_types`, and what bytes are is found by `domain.detection`.
"""

from dataclasses import dataclass

from domain.detection import HEAD_BYTES, detect, is_script, is_text
from domain.media_types import BINARIES, DANGEROUS, EMPTY, INLINE, SAFE, SCRIPTS, TAKEN_AS_OWN, TEXTS, UNKNOWN
from domain.names import extension_of

__all__ = [
    "HEAD_BYTES",
    "Inspection",
    "agrees",
    "inline_allowed",
    "inspect",
    "media_types_of",
    "safe_media_type",
]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found of a file.

    `media_type` is what to record, `agrees` whether the bytes are what the name says, `detected` what the bytes are on
    their own, and `allowed` what they may be under this name; nothing where the extension is not in our tables.
    """

    media_type: str
    agrees: bool
    detected: str
    allowed: tuple[str, ...]


def inspect(name: str, head: bytes) -> Inspection:
    """Compare the first bytes of a file (the first HEAD_BYTES suffice) with its name. Never raises.

    Blocking: at most about a millisecond. Text of any kind agrees with every extension that stands for text, and the
    extension names its type; a first line that names an interpreter agrees with programs only. Under an extension that
    our tables do not know, which an operator allowed, everything agrees but programs and web pages.
    """
    extension = extension_of(name)
    allowed = media_types_of(extension)
    if extension in TEXTS and is_text(head) and (extension in SCRIPTS or not is_script(head)):
        return Inspection(media_type=TEXTS[extension], agrees=True, detected=TEXTS[extension], allowed=allowed)
    detected = detect(head)
    media_type = _taken_as(extension, detected)
    return Inspection(
        media_type=detected if media_type is None else media_type,
        agrees=media_type is not None,
        detected=detected,
        allowed=allowed,
    )


def media_types_of(extension: str) -> tuple[str, ...]:
    """The media types that files of this extension may turn out to have, its own first; none when it is not known."""
    if extension in TEXTS:
        return (TEXTS[extension],)
    return BINARIES.get(extension, ())


def agrees(name: str, media_type: str) -> bool:
    """Whether a file that was found to be of this media type may have this name.

    Text agrees with every extension that stands for text.
    """
    extension = extension_of(name)
    if extension in TEXTS:
        return media_type in TEXTS.values()
    return _taken_as(extension, media_type) is not None


def safe_media_type(media_type: str) -> str:
    """The media type to send: itself when it is on the closed list, else `application/octet-stream`."""
    return media_type if media_type in SAFE else UNKNOWN


def inline_allowed(media_type: str) -> bool:
    """Whether a browser may show files of this media type rather than save them; never HTML, SVG or XML."""
    return media_type in INLINE


def _taken_as(extension: str, detected: str) -> str | None:
    allowed = media_types_of(extension)
    if detected in allowed and extension not in TEXTS:
        return detected
    if detected in TAKEN_AS_OWN.get(extension, ()):
        return allowed[0]
    if allowed or detected in DANGEROUS:
        return None
    return UNKNOWN if detected == EMPTY else detected
