"""Names of files: data that people see, never paths. How they are cleaned, compared and judged by their extensions.

Whether the bytes are what the extension says is for `domain.media`.
"""

import re
import unicodedata

from domain.errors import ExtensionNotAllowed, InvalidInput
from domain.policy import UploadPolicy

NAME_BYTES = 255  # what every file system that people copy files to can hold (POSIX NAME_MAX)

# No name of 255 bytes has a decomposed form of more code points than this. Normalising is quadratic in the length of a
# run of combining marks, so what cannot fit is refused before it.
_CODE_POINTS = 4 * NAME_BYTES

# Controls, line and paragraph separators, and the format characters that nobody sees: marks and overrides of direction,
# zero-width spaces, soft hyphens, invisible operators, annotations, tags. Format characters that are printed (Arabic
# number signs, joins of hieroglyphs) stay.
_UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
# The two joiners shape Persian, the scripts of India, and emoji. Beside an ASCII character, at an end or doubled they
# do nothing but hide.
_JOINER = r"\u200c\u200d"
_NOT_JOINED = rf"[\x00-\x7f{_JOINER}]"
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_REMOVED = re.compile(rf"[{_UNSEEN}]+")
_IDLE_JOINERS = re.compile(rf"(?:^|(?<={_NOT_JOINED}))[{_JOINER}]|[{_JOINER}](?={_NOT_JOINED}|\Z)")
_ENDS = re.compile(rf"^[\s{_JOINER}]+|[\s.{_JOINER}]+\Z")

_MARKS_IN_A_ROW = 30
# Unicode's Default_Ignorable_Code_Point, with controls and lone surrogates, which no database stores.
_IGNORED = re.compile(
    rf"[{_UNSEEN}{_JOINER}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    r"\ud800-\udfff\U000e0080-\U000e0fff]+"
)


def clean_name(raw: str) -> str:
    """The name as it is kept: NFC, without directories, unseen characters, and spaces or dots that end it.

    Nothing else changes: characters and device names that one system reserves are kept, for names never become paths
    here. A name that is too long is refused rather than cut, because a cut loses the extension or makes two files look
    alike. Cleaning a clean name changes nothing. Raises InvalidInput.
    """
    if _SURROGATES.search(raw):
        raise InvalidInput(message="The file's name is not valid Unicode: it has half of a surrogate pair.")
    name = _REMOVED.sub("", raw[max(raw.rfind("/"), raw.rfind("\\")) + 1 :])
    if len(name) <= _CODE_POINTS:
        # Normalising can turn a neighbour of a joiner into ASCII (the Kelvin sign into K): joiners are judged after it.
        name = _IDLE_JOINERS.sub("", unicodedata.normalize("NFC", name))
        name = _ENDS.sub("", unicodedata.normalize("NFC", name))
    size = len(name.encode())
    if size > NAME_BYTES:
        raise InvalidInput(message=f"The file's name has {size} bytes of UTF-8; at most {NAME_BYTES} are allowed.")
    if not name:
        raise InvalidInput(message="The file needs a name.")
    return name


def clean_line(raw: str, noun: str, maximum: int) -> str:
    """A line that a person wrote, such as the name of a workspace, as it is kept: without what nobody sees.

    `maximum` counts code points. Raises InvalidInput, in which `noun` says what it is about.
    """
    if _SURROGATES.search(raw):
        raise InvalidInput(message=f"The {noun} is not valid Unicode: it has half of a surrogate pair.")
    line = _REMOVED.sub("", raw)
    if len(line) <= 4 * maximum:
        line = _IDLE_JOINERS.sub("", unicodedata.normalize("NFC", line)).strip()
    if len(line) > maximum:
        raise InvalidInput(message=f"The {noun} has {len(line)} characters; at most {maximum} are allowed.")
    if not line:
        raise InvalidInput(message=f"The {noun} must not be empty.")
    return line


def fold(text: str) -> str:
    """The form that search, uniqueness and order compare: Unicode's NFKC_Casefold, and without what is not seen.

    Total and idempotent: any text gives text that a database takes, and folding it again changes nothing. Of a row of
    combining marks only the first 30 count, so that the cost grows with the length and no faster.
    Source: Unicode Standard, section 3.13, toNFKC_Casefold; UAX #15, section 13, Stream-Safe Text Format.
    """
    if text.isascii():
        return _REMOVED.sub("", text).lower()
    folded = unicodedata.normalize("NFD", _with_few_marks(_IGNORED.sub("", text))).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold())


def extensions_of(name: str) -> tuple[str, ...]:
    """Whatever stands after a dot, folded, in order: `a.tar.gz` has `tar` and `gz`, and `.exe` has `exe`.

    Compatibility forms of letters and dots, such as full-width ones, count as the plain ones.
    """
    return tuple(part for part in _between_dots(name)[1:] if part)


def extension_of(name: str) -> str:
    """The last extension, folded, without its dot; empty where none follows a stem, as in `README` and `.gitignore`."""
    parts = [part for part in _between_dots(name) if part]
    return parts[-1] if len(parts) > 1 else ""


def judge_extension(name: str, policy: UploadPolicy) -> None:
    """Accept a name whose last extension is on the allow-list and which has no blocked one anywhere.

    Blocked wins where an extension is on both lists. Uploads and renames are judged alike. Raises ExtensionNotAllowed.
    """
    last = extension_of(name)
    blocked = next((extension for extension in extensions_of(name) if extension in policy.blocked_extensions), None)
    if blocked is None and last in policy.allowed_extensions:
        return
    raise ExtensionNotAllowed(
        message=_sentence(blocked, last),
        extension=last if blocked is None else blocked,
        allowed=tuple(sorted(policy.allowed_extensions - policy.blocked_extensions)),
    )


def _with_few_marks(text: str) -> str:
    kept = []
    row = 0
    for character in "".join(unicodedata.normalize("NFKD", character) for character in text):
        row = row + 1 if unicodedata.combining(character) else 0
        if row <= _MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)


def _between_dots(name: str) -> list[str]:
    return [part.strip() for part in fold(name).split(".")]


def _sentence(blocked: str | None, last: str) -> str:
    if blocked is not None:
        return f"Files with the extension .{blocked} are never accepted, whatever stands after it."
    if last:
        return f"Files with the extension .{last} are not accepted."
    return "The file's name needs an extension that says what the file is."
