"""What a client's range and conditions ask of one content, and how a name travels in Content-Disposition.

Pure functions on header values after RFC 9110 (§13 conditions, §14 ranges), RFC 6266 and RFC 8187. They know no
request and no file: `api/transfers.py` hands them values and sends what they decide.
"""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import NamedTuple
from urllib.parse import quote

OK = 200
PARTIAL_CONTENT = 206
NOT_MODIFIED = 304
PRECONDITION_FAILED = 412
RANGE_NOT_SATISFIABLE = 416

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATES = (
    re.compile(f"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(f"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(f"{_DAY} {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)
_TAG = re.compile('(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_BETWEEN_TAGS = re.compile("[ \t]*(?:,[ \t]*)*")
_ONE_RANGE = re.compile("([0-9]*)-([0-9]*)")
# More digits than any size has. int() itself refuses numbers of more than 4,300 digits.
_DIGITS_OF_ANY_SIZE = 19
_SECONDS_OF_A_MINUTE = 60
_YEARS_AHEAD = 50
# RFC 8187 attr-char beyond the letters, digits and "_.-~" that quote() always leaves alone.
_ATTRIBUTE_CHARACTERS = "!#$&+^`|"
_FORBIDDEN_IN_FALLBACK = re.compile(r'[^\x20-\x7e]|["\\/%]')
_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f]")


class Content(NamedTuple):
    """The representation that the conditions are about.

    `etag` is a strong entity tag with its quotes, `modified_at` is aware. `is_dated_apart` says that no other content
    of this URL can carry the same second, so that Last-Modified identifies it as surely as the entity tag.
    """

    size: int
    etag: str
    modified_at: datetime
    is_dated_apart: bool = True


class Conditions(NamedTuple):
    """The header fields that decide, None where absent; lines of the same name are joined with a comma and a space."""

    if_match: str | None = None
    if_unmodified_since: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_range: str | None = None
    range: str | None = None


class Decision(NamedTuple):
    """The status to answer with, and the bytes from `start` up to, not including, `end` where it has some."""

    status: int
    start: int = 0
    end: int = 0


UNCONDITIONAL = Conditions()


def decide(conditions: Conditions, content: Content, *, wants_bytes: bool, now: datetime) -> Decision:
    """What GET (`wants_bytes`) or HEAD answers: 200, 206, 304, 412 or 416, in the order of RFC 9110 §13.2.2.

    HEAD knows no ranges (§14.2). `now` resolves dates with two-digit years.
    """
    if conditions == UNCONDITIONAL:
        return Decision(OK, 0, content.size)
    if not _is_still_wanted(conditions, content, now):
        return Decision(PRECONDITION_FAILED)
    if _is_known_already(conditions, content, now):
        return Decision(NOT_MODIFIED)
    if wants_bytes and conditions.range is not None and _may_be_partial(conditions, content, now):
        return select_range(conditions.range, content.size)
    return Decision(OK, 0, content.size)


def _is_still_wanted(conditions: Conditions, content: Content, now: datetime) -> bool:
    if conditions.if_match is not None:
        return _names(conditions.if_match, content.etag, weakly=False)
    unmodified_since = _date(conditions.if_unmodified_since, now)
    return unmodified_since is None or _whole_seconds(content.modified_at) <= unmodified_since


def _is_known_already(conditions: Conditions, content: Content, now: datetime) -> bool:
    if conditions.if_none_match is not None:
        return _names(conditions.if_none_match, content.etag, weakly=True)
    modified_since = _date(conditions.if_modified_since, now)
    return modified_since is not None and _whole_seconds(content.modified_at) <= modified_since


def _may_be_partial(conditions: Conditions, content: Content, now: datetime) -> bool:
    if conditions.if_range is None or conditions.if_range == content.etag:
        return True
    return content.is_dated_apart and _date(conditions.if_range, now) == _whole_seconds(content.modified_at)


def _names(field: str, etag: str, *, weakly: bool) -> bool:
    """Whether the field is `*` or lists the tag. A field that is no list of tags names none."""
    if field.strip(" \t") == "*":
        return True
    tags = entity_tags(field)
    return etag in tags or (weakly and f"W/{etag}" in tags)


def entity_tags(field: str) -> frozenset[str]:
    """The entity tags of an If-Match or If-None-Match field (RFC 9110 §8.8.3), none when it is malformed."""
    tags = set()
    position = _end_of(_BETWEEN_TAGS, field, 0)
    while position < len(field):
        end = _end_of(_TAG, field, position)
        following = _end_of(_BETWEEN_TAGS, field, end)
        if end == position or (following < len(field) and "," not in field[end:following]):
            return frozenset()
        tags.add(field[position:end])
        position = following
    return frozenset(tags)


def _end_of(pattern: re.Pattern[str], field: str, position: int) -> int:
    match = pattern.match(field, position)
    return position if match is None else match.end()


def select_range(field: str, size: int) -> Decision:
    """The bytes that a Range field selects of `size` (RFC 9110 §14.2): 206, 416, or 200 for the whole.

    Another unit, a malformed field and several ranges get the whole content, which a server always may send.
    """
    whole = Decision(OK, 0, size)
    unit, _, listed = field.partition("=")
    ranges = [item.strip(" \t") for item in listed.split(",")]
    named = [item for item in ranges if item]
    if unit.lower() != "bytes" or len(named) != 1:
        return whole
    match = _ONE_RANGE.fullmatch(named[0])
    if match is None or match[0] == "-":
        return whole
    first, last = (digits and (digits.lstrip("0") or "0") for digits in match.groups())
    return _span(first, last, size) if first else _suffix(last, size)


def _suffix(digits: str, size: int) -> Decision:
    length = _number(digits)
    if length == 0:
        return Decision(RANGE_NOT_SATISFIABLE)
    if size == 0:
        # The last bytes of nothing are satisfiable, but Content-Range cannot name an empty range.
        return Decision(OK, 0, 0)
    return Decision(PARTIAL_CONTENT, max(0, size - length), size)


def _span(first: str, last: str, size: int) -> Decision:
    if last and (len(last), last) < (len(first), first):
        return Decision(OK, 0, size)
    start = _number(first)
    if start >= size:
        return Decision(RANGE_NOT_SATISFIABLE)
    return Decision(PARTIAL_CONTENT, start, min(_number(last) + 1, size) if last else size)


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= _DIGITS_OF_ANY_SIZE else 10**_DIGITS_OF_ANY_SIZE


def content_range(decision: Decision, size: int) -> str:
    """The Content-Range field of a 206 or 416 (RFC 9110 §14.4)."""
    if decision.status == RANGE_NOT_SATISFIABLE:
        return f"bytes */{size}"
    return f"bytes {decision.start}-{decision.end - 1}/{size}"


def _whole_seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _date(field: str | None, now: datetime) -> datetime | None:
    return None if field is None else parse_date(field, now)


def format_date(moment: datetime) -> str:
    """An aware moment as an HTTP date, its fraction of a second cut off."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def parse_date(field: str, now: datetime) -> datetime | None:
    """The moment of an HTTP date in any of the three formats (RFC 9110 §5.6.7), None when it is none.

    A two-digit year more than fifty years ahead of `now` is the last past year that ends so.
    """
    match = next(filter(None, (pattern.fullmatch(field.strip(" \t")) for pattern in _DATES)), None)
    if match is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == len("94"):
        year += now.year - now.year % 100
        year -= 100 if year > now.year + _YEARS_AHEAD else 0
    second = int(match["second"])
    is_leap = second == _SECONDS_OF_A_MINUTE
    clock = (int(match["hour"]), int(match["minute"]), second - is_leap)
    try:
        moment = datetime(year, _MONTHS.index(match["month"]) + 1, int(match["day"]), *clock, tzinfo=UTC)
        return moment + timedelta(seconds=is_leap)
    except (ValueError, OverflowError):
        return None


def content_disposition(disposition: str, name: str) -> str:
    """The Content-Disposition field for a file of this name (RFC 6266): ASCII whatever the name holds.

    Names beyond plain ASCII travel twice: folded into `filename` for old clients, whole in `filename*` (RFC 8187).
    Control characters become `_`, so that no name can end the field.
    """
    if name.isascii() and name and not _FORBIDDEN_IN_FALLBACK.search(name):
        return f'{disposition}; filename="{name}"'
    safe = _CONTROL_CHARACTERS.sub("_", name)
    decomposed = unicodedata.normalize("NFKD", safe)
    unaccented = "".join(character for character in decomposed if not unicodedata.combining(character))
    fallback = _FORBIDDEN_IN_FALLBACK.sub("_", unaccented) or "file"
    encoded = quote(safe, safe=_ATTRIBUTE_CHARACTERS, errors="replace")
    return f"{disposition}; filename=\"{fallback}\"; filename*=UTF-8''{encoded}"
